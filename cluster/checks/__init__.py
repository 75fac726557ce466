"""Checks of configurations, log servers, accelerators and exposure before anything starts."""
