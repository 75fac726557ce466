"""Tests of pipeline/rag/embeddings/."""
