"""Tests of pipeline/stt/."""
