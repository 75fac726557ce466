"""A log with an archive, on one real server for all tests here."""

from tests.support.fixtures.archive_fixtures import archive_home, tiers

__all__ = ["archive_home", "tiers"]
