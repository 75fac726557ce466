"""From sound that comes in to what was said, and what becomes of it."""
