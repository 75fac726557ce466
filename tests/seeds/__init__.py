"""The seeds' own testing plans, point by point, on the whole gateway with its workers."""
