"""Tests of cluster/cli/top/."""
