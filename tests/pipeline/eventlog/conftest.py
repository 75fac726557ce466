"""Real log servers: shared ones, one of the test's own, and a proxy that breaks connections."""

from tests.support.fixtures.log_server_fixtures import home, log, proxy, redis_home, valkey_home

__all__ = ["home", "log", "proxy", "redis_home", "valkey_home"]
