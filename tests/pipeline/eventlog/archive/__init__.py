"""Tests of pipeline/eventlog/archive/."""
