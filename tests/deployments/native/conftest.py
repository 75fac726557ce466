"""One running application with a scripted story, and an HTTP client for it."""

from tests.support.fixtures.gateway_fixtures import app, http

__all__ = ["app", "http"]
