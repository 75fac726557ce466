"""Routes and sockets of conversations, threads and characters."""
