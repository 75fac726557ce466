"""OpenAI's words in ours and back, without HTTP."""
