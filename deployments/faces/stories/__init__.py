"""Routes and sockets of stories, narrations and notifications."""
