"""Tests of pipeline/engines/llm/."""
