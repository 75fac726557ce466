"""Logs, archives and bundles that tests write and break."""
