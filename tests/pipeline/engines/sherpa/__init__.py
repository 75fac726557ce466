"""Tests of pipeline/engines/tts/."""
