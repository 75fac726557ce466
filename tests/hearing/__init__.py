"""What is decided about sound that comes in."""
