"""`pytest test_rhapsode_tones.py`: the voice keeps the contract of every voice."""

import pytest
from rhapsode_tones import Tones

from rhapsode.testing import TimedTextToSpeechContract


class TestTones(TimedTextToSpeechContract):
    @pytest.fixture
    def voice(self) -> Tones:
        return Tones(330)
