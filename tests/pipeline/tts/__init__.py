"""Tests of pipeline/tts/."""
