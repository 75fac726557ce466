"""Tests of pipeline/eventlog/redis/."""
