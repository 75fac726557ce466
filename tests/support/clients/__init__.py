"""Clients of a running application."""
