"""What answers rest on: passages, functions, and what is said of them."""
