"""How well, and how fast, passages are found in the library that comes with the tests."""
