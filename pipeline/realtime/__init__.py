"""The Realtime API over an ordinary session: its clients' events as commands, the facts as their events."""
