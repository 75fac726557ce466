"""Tests of cluster/kubernetes/."""
