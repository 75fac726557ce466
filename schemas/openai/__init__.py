"""What OpenAI's clients send, and how much of it is supported here."""
