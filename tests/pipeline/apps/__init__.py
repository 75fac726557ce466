"""Tests of pipeline/apps/."""
