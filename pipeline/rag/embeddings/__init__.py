"""Embedding models and vectors."""
