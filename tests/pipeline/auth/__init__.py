"""Tests of pipeline/auth/."""
