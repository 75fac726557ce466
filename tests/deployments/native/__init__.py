"""Tests of deployments/native/."""
