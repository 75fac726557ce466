"""Tests of deployments/native/documents/."""
