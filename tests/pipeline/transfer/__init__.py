"""Tests of pipeline/transfer/."""
