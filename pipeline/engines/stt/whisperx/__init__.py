"""WhisperX, for transcripts after an utterance has ended."""
