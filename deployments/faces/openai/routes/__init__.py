"""Routes of OpenAI's HTTP API."""
