"""Tests of pipeline/eventlog/."""
