"""One running application with a scripted story."""

from tests.support.fixtures.gateway_fixtures import app

__all__ = ["app"]
