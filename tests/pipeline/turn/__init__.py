"""Tests of pipeline/turn/."""
