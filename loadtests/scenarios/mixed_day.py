"""A day as it is: most callers chat or have something read out, some call, and some have bad luck."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from loadtests.client.virtual_caller import VirtualCaller
from loadtests.scenarios.scenario import ScenarioOptions

WEIGHTS: Final[Mapping[str, int]] = {
    "chat": 30,
    "narrate": 25,
    "call": 15,
    "barge-in": 5,
    "storm": 8,
    "events": 7,
    "audience": 4,
    "slow": 4,
    "book": 2,
}
_PAGES: Final = 3
_LISTENERS: Final = 6


@dataclass(frozen=True, slots=True)
class Day:
    """All of the others, by weights: chat 30, narrate 25, call 15, storm 8, events 7, …"""

    knobs: ScenarioOptions

    async def play(self, caller: VirtualCaller) -> None:
        raise NotImplementedError("a day is made of other scenarios: each person has one of them")


def shared(people: int, seed: int, possible: Collection[str]) -> list[str]:
    """Choose a scenario for each caller."""
    names = [name for name in WEIGHTS if name in possible]
    return random.Random(seed).choices(names, [WEIGHTS[name] for name in names], k=people)


def short(knobs: ScenarioOptions) -> ScenarioOptions:
    """Books have few pages on such a day, and audiences are small."""
    return replace(knobs, pages=min(knobs.pages, _PAGES), listeners=min(knobs.listeners, _LISTENERS))
