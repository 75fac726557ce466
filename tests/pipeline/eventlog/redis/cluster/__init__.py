"""Tests of pipeline/eventlog/redis/cluster/."""
