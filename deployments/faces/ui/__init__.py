"""The AI SDK's UI message stream: a chat is a session."""
