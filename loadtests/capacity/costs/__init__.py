"""Costs of the parts of a turn: processor seconds, memory, bytes; of the engines and of the rest."""
