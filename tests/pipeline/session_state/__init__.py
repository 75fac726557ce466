"""Tests of pipeline/session_state/."""
