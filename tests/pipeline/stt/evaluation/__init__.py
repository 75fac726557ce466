"""Tests of pipeline/stt/evaluation/."""
