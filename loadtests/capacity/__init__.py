"""How many sessions a machine carries: costs measured, models of machines, and runs on a card."""
