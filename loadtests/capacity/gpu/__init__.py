"""How many sessions a card carries, and how fast: a run that anybody with a card can repeat."""
