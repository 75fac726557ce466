"""Model files: found, checked, converted and cached."""
