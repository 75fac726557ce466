"""Tests of pipeline/rag/store/."""
