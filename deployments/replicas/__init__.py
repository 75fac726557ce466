"""Ray Serve deployments: one replica class each, with the client that calls it."""
