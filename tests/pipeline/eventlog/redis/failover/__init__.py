"""Tests of pipeline/eventlog/redis/failover/."""
