"""One running application that listens."""

from tests.support.fixtures.listening_fixtures import app

__all__ = ["app"]
