"""The scenarios: behaviours of virtual callers, by name."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from loadtests.client.recorded_speech import recordings
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.scenarios.scenario import Scenario, ScenarioOptions
from loadtests.scenarios.several_listeners import audience, event_stream
from loadtests.scenarios.spoken import barge_in, phone_call
from loadtests.scenarios.typed import book, chat, narrate, slow, storm

WEIGHTS: Final[Mapping[str, int]] = {
    **{"chat": 30, "narrate": 25, "call": 15, "barge-in": 5, "storm": 8},
    **{"events": 7, "audience": 4, "slow": 4, "book": 2},
}
_PAGES: Final = 3
_LISTENERS: Final = 6
"""On a mixed day books have few pages, and audiences are small."""


async def day(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """All of the others, by weights: chat 30, narrate 25, call 15, storm 8, events 7, …"""
    raise NotImplementedError("a day is made of other scenarios: each person has one of them")


SCENARIOS: Final[Mapping[str, Callable[[ScenarioOptions, VirtualCaller], Awaitable[None]]]] = {
    "narrate": narrate,
    "chat": chat,
    "call": phone_call,
    "barge-in": barge_in,
    "storm": storm,
    "audience": audience,
    "slow": slow,
    "events": event_stream,
    "book": book,
    "day": day,
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
        return [name] * people, {name: partial(SCENARIOS[name], knobs)}, ()
    possible = {one: weight for one, weight in WEIGHTS.items() if clips or one not in SPEAKING}
    notes = () if clips else ("Nobody calls: there is no recorded speech on this machine (--recordings).",)
    names = random.Random(seed).choices(list(possible), list(possible.values()), k=people)
    short = replace(knobs, pages=min(knobs.pages, _PAGES), listeners=min(knobs.listeners, _LISTENERS))
    return names, {one: partial(SCENARIOS[one], short) for one in set(names)}, notes
