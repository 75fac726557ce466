"""One running application that asks for keys, and two people who hold them."""

from tests.support.fixtures.access_fixtures import app, circle, hers, home, people

__all__ = ["app", "circle", "hers", "home", "people"]
