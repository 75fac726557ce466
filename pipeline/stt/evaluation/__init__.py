"""Transcribes logged audio again and compares transcripts."""
