"""An embedded log server of the test's own, and one that all tests share."""

from tests.support.fixtures.log_server_fixtures import home, valkey_home

__all__ = ["home", "valkey_home"]
