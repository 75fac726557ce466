"""Tests of pipeline/engines/weights/."""
