"""The Realtime API over an ordinary session: what its clients say as commands, what happens as their events."""
