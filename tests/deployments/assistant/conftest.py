"""One running application that listens, whose recognizer can be held back."""

from tests.support.fixtures.listening_fixtures import app, hesitating

__all__ = ["app", "hesitating"]
