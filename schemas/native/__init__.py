"""Messages, commands and answers of the native HTTP, SSE and WebSocket protocol (docs/protocol.md)."""
