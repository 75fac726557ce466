"""Tests of cluster/local/."""
