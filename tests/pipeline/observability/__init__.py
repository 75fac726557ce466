"""Tests of pipeline/observability/."""
