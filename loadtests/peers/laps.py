"""Laps of a race: everybody runs in every lap, one after the other, in an order left to chance."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from loadtests.client.recorded_speech import Clip
from loadtests.peers.contestants import FAILURES, Contestant, HeardAnswer
from loadtests.peers.peer_servers import Marks, stages
from loadtests.report.run_info import say

# fmt: off
_NAMES: Final = (
    "Anna", "Boris", "Clara", "David", "Edith", "Felix", "Greta", "Henry", "Irene",
    "Jonas", "Klara", "Louis", "Marta", "Nils", "Olga", "Peter", "Quinn", "Rosa",
    "Simon", "Tilda", "Ulrich", "Vera", "Walter", "Xenia", "Yusuf", "Zoe",
)
# fmt: on
_WISHES: Final = (
    "Tell me a story about {} and a red fox.",
    "Tell me a fairy tale about {} at the sea.",
    "Why does {} like old clocks?",
    "Describe a winter evening at the house of {}.",
    "What would {} write in a letter from a lighthouse?",
)
_TEXTS: Final = (
    "When {} came down to the harbour that evening, the boats had gone. Only the lamp was burning.",
    "It had rained for three days, and {} was tired of waiting. On the fourth day the sun came out.",
    "{} opened the letter at once. It was short, and it was not signed.",
    "In the oldest part of the town, where the streets are too narrow for carts, {} kept a shop of clocks.",
    "Nobody had seen {} since the spring. Then, on a cold morning in November, the bell rang.",
)
_KINDS: Final = 5
"""Of questions, of texts and of recordings: everybody gets each of them equally often."""


@dataclass
class Laps:
    """Answers and failures by contestant."""

    heard: dict[str, list[HeardAnswer]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)


class Track(Protocol):
    """The engines."""

    def rest(self) -> None:
        """Wait until nobody works."""
        ...

    def marks(self) -> Marks:
        """Marks of the engines since the last call."""
        ...


Run = Callable[[Contestant, int], Awaitable[HeardAnswer]]
"""(who, the number of the lap with an offset of their own) to what was heard."""


def prompt(number: int) -> str:
    """No two are the same for many laps: what a model has read before it reads faster."""
    return _WISHES[number % len(_WISHES)].format(_name(number))


def text(number: int) -> str:
    return _TEXTS[number % len(_TEXTS)].format(_name(number))


def _name(number: int) -> str:
    first, second = divmod(number, len(_NAMES))
    return _NAMES[second] if not first else f"{_NAMES[second]} and {_NAMES[(second + first) % len(_NAMES)]}"


async def laps(contestants: Sequence[Contestant], count: int, run: Run, track: Track) -> Laps:
    """`count` laps after one that warms up. The engines are idle before everybody's turn."""
    found = Laps({each.name: [] for each in contestants}, {each.name: [] for each in contestants})
    stride = len(contestants) + (len(contestants) % _KINDS == 0)
    for lap in range(count + 1):
        order = random.Random(lap).sample(range(len(contestants)), len(contestants))
        for place in order:
            each = contestants[place]
            track.rest()
            track.marks()
            try:
                heard = await run(each, lap * stride + place)
                heard = replace(heard, stages=stages(track.marks(), heard.asked_s))
            except FAILURES as error:
                found.failures[each.name] += [str(error) or "no answer"] if lap else []
                say(f"lap {lap}: {each.name}: {str(error) or 'no answer'}")
            else:
                found.heard[each.name] += [heard] if lap else []
                say(f"lap {lap}: {each.name}: {heard.first_ms:.0f} ms")
    return found


def typed(who: Contestant, number: int) -> Awaitable[HeardAnswer]:
    """A written question to first sound."""
    return who.ask(prompt(number))


def read(who: Contestant, number: int) -> Awaitable[HeardAnswer]:
    """A whole text to first sound."""
    return who.read(text(number))


def spoken(clips: Sequence[Clip]) -> Run:
    """The last sound of a spoken question to the first of its answer. In a lap nobody says the same."""
    return lambda who, number: who.say(clips[number % len(clips)])
