"""Routes and the socket of the native protocol."""
