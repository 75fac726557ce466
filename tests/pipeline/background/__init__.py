"""Tests of pipeline/background/."""
