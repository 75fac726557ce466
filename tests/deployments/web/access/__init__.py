"""Tests of deployments/web/access/."""
