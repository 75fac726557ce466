"""Tests of deployments/openai/sdk/."""
