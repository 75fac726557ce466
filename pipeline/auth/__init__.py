"""Credentials, principals and what each principal may use."""
