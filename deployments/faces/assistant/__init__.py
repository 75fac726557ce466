"""The voice assistant's protocol: its socket, its older route and their translator."""
