"""Events and leases across a Redis failover."""
