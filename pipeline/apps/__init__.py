"""Stories, narrations, threads, characters, users and collections."""
