"""The race: other voice systems beside ours, on the same engines, heard by the same client."""
