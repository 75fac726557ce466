"""Who speaks: the voice in this server, servers elsewhere, and what happens when one of them cannot."""
