"""Tests of pipeline/sessions/."""
