"""Runs on Ray: Serve deployments, remote clients, routes. Thin."""
