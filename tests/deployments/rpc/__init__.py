"""Tests of deployments/rpc/."""
