"""The archive of ended sessions: segments, store, archiver, reader."""
