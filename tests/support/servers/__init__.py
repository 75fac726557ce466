"""Servers that stand in for services outside the product."""
