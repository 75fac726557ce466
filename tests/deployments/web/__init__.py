"""Tests of deployments/web/."""
