"""The scenarios: behaviours of virtual callers, by name."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loadtests.client.recorded_speech import recordings
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.scenarios.scenario import Scenario, ScenarioOptions
from loadtests.scenarios.several_listeners import EventStream, SeveralListeners
from loadtests.scenarios.spoken import BargeIn, PhoneCall
from loadtests.scenarios.typed import Book, Chat, Narrate, Slow, Storm

WEIGHTS: Final[Mapping[str, int]] = {
    **{"chat": 30, "narrate": 25, "call": 15, "barge-in": 5, "storm": 8},
    **{"events": 7, "audience": 4, "slow": 4, "book": 2},
}
_PAGES: Final = 3
_LISTENERS: Final = 6
"""On a mixed day books have few pages, and audiences are small."""


@dataclass(frozen=True, slots=True)
class Day:
    """All of the others, by weights: chat 30, narrate 25, call 15, storm 8, events 7, …"""

    knobs: ScenarioOptions

    async def play(self, caller: VirtualCaller) -> None:
        raise NotImplementedError("a day is made of other scenarios: each person has one of them")


SCENARIOS: Final[Mapping[str, Callable[[ScenarioOptions], Scenario]]] = {
    "narrate": Narrate,
    "chat": Chat,
    "call": PhoneCall,
    "barge-in": BargeIn,
    "storm": Storm,
    "audience": SeveralListeners,
    "slow": Slow,
    "events": EventStream,
    "book": Book,
    "day": Day,
}
SPEAKING: Final = frozenset({"call", "barge-in"})
"""These need recordings of speech."""


def cast(
    name: str, people: int, seed: int, knobs: ScenarioOptions, folder: Path | None
) -> tuple[list[str], dict[str, Scenario], tuple[str, ...]]:
    """Scenario of each caller, the scenarios by name, and remarks for the report. Raises ValueError."""
    clips = recordings(folder) if name in SPEAKING or name == "day" else ()
    knobs = replace(knobs, recordings=clips)
    if name in SPEAKING and not clips:
        raise ValueError(
            "there is no recorded speech: --recordings FOLDER, or Debian's pocketsphinx-testdata"
        )
    if name != "day":
        return [name] * people, {name: SCENARIOS[name](knobs)}, ()
    possible = {one: weight for one, weight in WEIGHTS.items() if clips or one not in SPEAKING}
    notes = () if clips else ("Nobody calls: there is no recorded speech on this machine (--recordings).",)
    names = random.Random(seed).choices(list(possible), list(possible.values()), k=people)
    short = replace(knobs, pages=min(knobs.pages, _PAGES), listeners=min(knobs.listeners, _LISTENERS))
    return names, {one: SCENARIOS[one](short) for one in set(names)}, notes
