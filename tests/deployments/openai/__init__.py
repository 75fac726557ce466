"""Tests of deployments/openai/."""
