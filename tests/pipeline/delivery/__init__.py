"""Tests of pipeline/delivery/."""
