"""Delivery to listeners: cursor, pacing, audio formats, captions, recordings."""
