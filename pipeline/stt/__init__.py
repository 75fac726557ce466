"""From audio input to questions: voice activity, endpointing, transcription, interruption."""
