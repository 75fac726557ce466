"""Tests of pipeline/tts/normalisation/."""
