"""Tests of deployments/replicas/."""
