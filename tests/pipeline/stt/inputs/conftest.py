"""Running applications that listen: one whose recognizer can be held back, one with the packaged models."""

from tests.support.fixtures.listening_fixtures import app, hesitating
from tests.support.fixtures.real_speech_fixtures import real_app, spoken_words

__all__ = ["app", "hesitating", "real_app", "spoken_words"]
