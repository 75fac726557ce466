"""Tests of cluster/cli/."""
