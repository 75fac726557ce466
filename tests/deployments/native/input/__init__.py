"""Tests of deployments/native/input/."""
