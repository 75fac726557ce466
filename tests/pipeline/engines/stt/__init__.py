"""Tests of pipeline/engines/stt/."""
