"""`make load-curve`: more and more people, and what those heard who were let in."""
