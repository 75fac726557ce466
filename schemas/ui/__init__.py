"""Requests of the AI SDK's chats."""
