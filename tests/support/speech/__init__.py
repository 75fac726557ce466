"""Recorded speech and a recognizer that tests hold back."""
