"""The ASGI application: middleware, limits, errors, drain, and the gateway's own listener."""
