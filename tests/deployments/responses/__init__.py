"""Tests of deployments/faces/responses/."""
