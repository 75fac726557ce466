"""Client events, items and session objects of OpenAI's Realtime API."""
