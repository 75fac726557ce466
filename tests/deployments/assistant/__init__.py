"""Tests of deployments/assistant/."""
