"""OpenAI's HTTP API: chat completions, speech, transcriptions, embeddings."""
