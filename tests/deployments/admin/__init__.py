"""Tests of deployments/admin/."""
