"""What each part of a turn costs: processor seconds, memory, bytes; of engines and what is around them."""
