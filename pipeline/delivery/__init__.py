"""What a listener receives: cursor, pacing, audio formats, captions, recordings."""
