"""Tests of deployments/stories/."""
