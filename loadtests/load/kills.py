"""Which part of the system is killed when, decided before the run. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PARTS: Final[Mapping[str, str]] = {
    "Gateway": "a gateway",
    "Log server": "the log server",
    "Workers": "a worker",
    "TextToSpeech": "a voice",
    "SpeechToText": "an ear",
    "LanguageModel": "a language model",
}
"""What is killed, each once in a round, and what it is called."""
_MARGIN_S: Final = 60.0
"""Before the first kill and after the last, at most: somebody is there, and everything is back at the end."""


@dataclass(frozen=True, slots=True)
class Due:
    """At this second of the run (or later, where this client is late) one process of this part dies."""

    at_s: float
    part: str


def schedule(every_s: float, seconds: float, seed: int) -> list[Due]:
    """One every so often, round after round, each round in another order. Empty: the run is too short."""
    dice, margin_s = random.Random(seed), min(_MARGIN_S, every_s)
    dues: list[Due] = []
    waiting: list[str] = []
    while (at_s := margin_s + len(dues) * every_s) <= seconds - margin_s:
        if not waiting:
            waiting = dice.sample(list(PARTS), len(PARTS))
        dues.append(Due(at_s, waiting.pop()))
    return dues
