"""Somebody who speaks over the answer: it has to fall silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.load.door import Failed
from loadtests.load.line import Line
from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs
from loadtests.load.scenarios.caller import microphone

_SILENCE: Final = ("playback.paused", "playback.flushed")
_LISTEN_S = 0.8
"""To the answer, before it is spoken over."""
_SENTENCES = 200
"""So much that it is still being made when it is spoken over, however fast that goes."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """A long text is read out, and spoken over until it stops."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        async with person.arrived(self.knobs.settings) as line:
            due_s = person.first_due()
            async with microphone(line) as mouth:
                line.notes.spoken_to = False  # the question is a text
                turn = await line.begin(due_s, text=texts.story(person.mark, person.dice, _SENTENCES))
                await line.until(lambda: line.notes.turns[turn].answer.ttfa_ms is not None)
                await line.read_for(_LISTEN_S)
                clip = person.dice.choice(self.knobs.recordings)
                begins_ms = mouth.say(clip.pcm)
                onset_s = mouth.instant_s(begins_ms + clip.bounds_ms[0])
                # A gateway that is late hears an interruption at once: it flushes, and never paused.
                for series, kinds in (("held", _SILENCE), ("flushed", _SILENCE[1:])):
                    person.measure(series, onset_s, await self._noticed(line, kinds, onset_s))
                await line.until(lambda: line.notes.over(turn))

    async def _noticed(self, line: Line, kinds: Sequence[str], onset_s: float) -> float:
        """When the first of them came."""

        def since() -> list[float]:
            return [at_s for kind in kinds if (at_s := line.moments.get(kind, 0.0)) > onset_s]

        try:
            await line.until(lambda: bool(since()))
        except TimeoutError as error:
            raise Failed("timeout", f"no {' or '.join(kinds)} after speech over the answer") from error
        return min(since())
