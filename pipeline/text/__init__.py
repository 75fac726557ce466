"""What is known about written language: characters, abbreviations, sentence ends, markdown, numbers."""
