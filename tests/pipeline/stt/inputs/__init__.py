"""Tests of pipeline/stt/inputs/."""
