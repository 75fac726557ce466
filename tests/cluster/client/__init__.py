"""Tests of cluster/client/."""
