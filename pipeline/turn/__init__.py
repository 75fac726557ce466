"""One turn: retrieval, language model, tool calls, speech."""
