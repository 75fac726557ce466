"""What is said: facts, commands, settings and errors. Pure data; imports pydantic and nothing of ours."""
