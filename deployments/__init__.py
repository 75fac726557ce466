"""Where it runs: Ray Serve deployments, remote clients, routes. Thin."""
