"""What people do. Each scenario is a module of its own; this one knows their names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtests.load.scenarios import day
from loadtests.load.scenarios.audience import Audience, Events
from loadtests.load.scenarios.barge_in import BargeIn
from loadtests.load.scenarios.base import Knobs as Knobs
from loadtests.load.scenarios.base import Scenario
from loadtests.load.scenarios.book import Book
from loadtests.load.scenarios.caller import Caller
from loadtests.load.scenarios.chat import Chat
from loadtests.load.scenarios.narrate import Narrate
from loadtests.load.scenarios.recordings import recordings
from loadtests.load.scenarios.slow import Slow
from loadtests.load.scenarios.storm import Storm

SCENARIOS: Final[Mapping[str, Callable[[Knobs], Scenario]]] = {
    "narrate": Narrate,
    "chat": Chat,
    "call": Caller,
    "barge-in": BargeIn,
    "storm": Storm,
    "audience": Audience,
    "slow": Slow,
    "events": Events,
    "book": Book,
    "day": day.Day,
}
SPEAKING: Final = frozenset({"call", "barge-in"})
"""These need recordings of speech."""


def cast(
    name: str, people: int, seed: int, knobs: Knobs, folder: Path | None
) -> tuple[list[str], dict[str, Scenario], tuple[str, ...]]:
    """What each person does, what that is, and what the report's reader should know. Raises ValueError."""
    clips = recordings(folder) if name in SPEAKING or name == "day" else ()
    knobs = replace(knobs, recordings=clips)
    if name in SPEAKING and not clips:
        raise ValueError(
            "there is no recorded speech: --recordings FOLDER, or Debian's pocketsphinx-testdata"
        )
    if name != "day":
        return [name] * people, {name: SCENARIOS[name](knobs)}, ()
    possible = set(day.WEIGHTS) - (set() if clips else SPEAKING)
    notes = () if clips else ("Nobody calls: there is no recorded speech on this machine (--recordings).",)
    names = day.shared(people, seed, possible)
    return names, {one: SCENARIOS[one](day.short(knobs)) for one in set(names)}, notes
