"""The scenarios: behaviours of virtual callers, by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtests.client.recorded_speech import recordings
from loadtests.scenarios import mixed_day
from loadtests.scenarios.scenario import Scenario, ScenarioOptions
from loadtests.scenarios.several_listeners import EventStream, SeveralListeners
from loadtests.scenarios.spoken import BargeIn, PhoneCall
from loadtests.scenarios.typed import Book, Chat, Narrate, Slow, Storm

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
    "day": mixed_day.Day,
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
    possible = set(mixed_day.WEIGHTS) - (set() if clips else SPEAKING)
    notes = () if clips else ("Nobody calls: there is no recorded speech on this machine (--recordings).",)
    names = mixed_day.shared(people, seed, possible)
    return names, {one: SCENARIOS[one](mixed_day.short(knobs)) for one in set(names)}, notes
