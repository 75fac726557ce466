"""A server and a log of the test's own, and a log with an archive."""

from tests.support.fixtures.archive_fixtures import archive_home, tiers
from tests.support.fixtures.log_server_fixtures import home, log

__all__ = ["archive_home", "home", "log", "tiers"]
