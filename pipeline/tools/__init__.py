"""Functions that the language model may call, wherever they are."""
