"""Contract suites for engines: a test class derives from one and gives it a fixture with the engine.

The fixtures are `model`, `voice`, and for speech to text `engine` and `full_engine`. An engine also says in
`open_streams` how many requests are open, so that the suites see that cancelled work stops.
"""

from rhapsode.testing.language_model_contract import LanguageModelContract
from rhapsode.testing.speech_to_text_contract import SpeechToTextContract, TimedSpeechToTextContract
from rhapsode.testing.text_to_speech_contract import TextToSpeechContract, TimedTextToSpeechContract

__all__ = [
    "LanguageModelContract",
    "SpeechToTextContract",
    "TextToSpeechContract",
    "TimedSpeechToTextContract",
    "TimedTextToSpeechContract",
]
