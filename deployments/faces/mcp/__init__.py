"""The Model Context Protocol: sessions, speech and transcripts as tools of other programs."""
