"""Tests of pipeline/rag/."""
