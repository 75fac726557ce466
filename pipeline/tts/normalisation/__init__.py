"""Text normalisation: shown text as it is spoken, with the place of each character in the shown text."""
