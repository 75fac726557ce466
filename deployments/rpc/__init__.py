"""Calls between replicas: the Serve client, the stream that carries results back, and replica telemetry."""
