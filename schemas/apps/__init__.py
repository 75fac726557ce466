"""Messages of the stories, conversations and voice assistant protocols."""
