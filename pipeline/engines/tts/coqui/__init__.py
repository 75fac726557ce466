"""Coqui's VITS and XTTS voices."""
