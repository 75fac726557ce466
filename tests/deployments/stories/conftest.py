"""One running application with a story and a scene in it."""

from tests.support.fixtures.gateway_fixtures import app, http, scene, story

__all__ = ["app", "http", "scene", "story"]
