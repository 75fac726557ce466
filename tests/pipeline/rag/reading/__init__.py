"""Tests of pipeline/rag/reading/."""
