"""Somebody whose line is thin: sound comes faster than it is read."""

import asyncio
from dataclasses import dataclass

from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs

_PAUSE_S = 0.15
_EVERY = 4
"""Frames, then a pause."""
_SENTENCES = 20


@dataclass(frozen=True, slots=True)
class Slow:
    """A long text is read out to somebody who takes his time to read what comes."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        session = await person.open(self.knobs.settings)
        notes = person.notes(session, hears=True)
        notes.punctual = False
        async with person.line(session, notes) as line:
            turn = await line.begin(
                person.first_due(), text=texts.story(person.mark, person.dice, _SENTENCES)
            )
            while not notes.over(turn):
                taken = len(notes.seqs) + _EVERY
                await line.until(lambda taken=taken: notes.over(turn) or len(notes.seqs) >= taken)  # type: ignore[misc]
                await asyncio.sleep(_PAUSE_S)
