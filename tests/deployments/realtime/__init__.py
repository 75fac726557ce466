"""Tests of deployments/realtime/."""
