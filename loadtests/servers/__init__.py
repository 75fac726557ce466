"""Servers that measurements start, each in processes of its own, and what those processes use."""
