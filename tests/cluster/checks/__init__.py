"""Tests of cluster/checks/."""
