"""A bad connection: it is cut at random, and each time the listener comes back with the number he has."""

from dataclasses import dataclass
from time import monotonic

from loadtests.load.line import Line
from loadtests.load.notes import Notes
from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs

_FRAMES = (3, 30)
"""So many a connection lives."""
_CUTS = 12
"""At most: the last connection lasts to the end."""


@dataclass(frozen=True, slots=True)
class Storm:
    """A text is read out over connections that are cut at random, each resumed by its cursor."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        session = await person.open(self.knobs.settings)
        notes = person.notes(session)
        async with person.line(session, notes) as line:
            turn = await line.begin(person.first_due(), text=texts.story(person.mark, person.dice, 8))
        while not notes.over(turn):
            async with person.line(session, notes) as line:
                await self._listen(person, line, notes, turn)

    async def _listen(self, person: Person, line: Line, notes: Notes, turn: int) -> None:
        opened_s, before = monotonic(), len(notes.seqs)
        await line.until(lambda: len(notes.seqs) > before)
        person.measure("resume", opened_s, monotonic())
        if person.visit.cuts == _CUTS:
            await line.until(lambda: notes.over(turn))
            return
        lives = before + person.dice.randint(*_FRAMES)
        await line.until(lambda: notes.over(turn) or len(notes.seqs) >= lives)
        person.visit.cuts += 1
        notes.disturb()
        line.cut()
