"""One running application that listens, and a log with an archive."""

from tests.support.fixtures.archive_fixtures import archive_home, tiers
from tests.support.fixtures.listening_fixtures import app

__all__ = ["app", "archive_home", "tiers"]
