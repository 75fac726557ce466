"""Tests of cluster/observability/."""
