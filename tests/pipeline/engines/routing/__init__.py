"""Tests of pipeline/engines/routing/."""
