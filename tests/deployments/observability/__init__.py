"""Tests of deployments/observability/."""
