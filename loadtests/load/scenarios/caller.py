"""Somebody who calls: recorded speech at the pace at which it was spoken, and an answer listened to."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from loadtests.load.door import Failed
from loadtests.load.line import Line
from loadtests.load.person import Person
from loadtests.load.scenarios.base import Knobs
from loadtests.load.voice import Voice
from loadtests.speech import Clip
from loadtests.voice.microphone import Microphone


@dataclass(frozen=True, slots=True)
class Caller:
    """A call: questions are spoken, answers listened to."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        async with person.arrived(self.knobs.settings) as line, microphone(line) as mouth:
            for asked in range(self.knobs.turns):
                if asked:
                    await line.read_for(person.dice.uniform(0.5, 1.5) * self.knobs.think_s)
                turn = await spoken(line, mouth, person.dice.choice(self.knobs.recordings))
                await line.hear_out(turn)


@asynccontextmanager
async def microphone(line: Line) -> AsyncIterator[Microphone]:
    """Open on this line, and never silent, until the block ends."""
    line.notes.spoken_to = True
    line.voice = Voice(str(uuid.uuid4()))
    await line.send(**line.voice.opening())
    await line.until(lambda: "input.ready" in line.moments)
    mouth = Microphone(line.speak)
    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(mouth.run())
        await asyncio.sleep(0)  # its clock begins with its first step
        try:
            yield mouth
        finally:
            speaking.cancel()
            line.voice = None


async def spoken(line: Line, mouth: Microphone, clip: Clip) -> int:
    """Say it, and take in its answer; the turn's number. Raises Failed, Refused, or TimeoutError."""
    began_s = monotonic()
    before = len(line.notes.turns)
    begins_ms = mouth.say(clip.pcm)
    line.notes.due_s = mouth.instant_s(begins_ms + clip.bounds_ms[1])
    await line.until(
        lambda: _answered(line, before, began_s, mouth), limit_s=clip.ms / 1_000 + line.patience_s
    )
    last, turn = next(reversed(line.notes.turns.items()))
    if turn.answer.ended != "turn.completed":
        raise Failed(turn.answer.ended, turn.why)
    return last


def _answered(line: Line, before: int, began_s: float, mouth: Microphone) -> bool:
    """All is said and written down, and what was asked last is over. One clip can be several utterances."""
    if mouth.speaking or len(line.notes.turns) == before:
        return False
    begun, written = (max(line.moments.get(kind, 0.0) for kind in kinds) for kinds in _UTTERANCES)
    last = next(reversed(line.notes.turns))
    return written >= begun > began_s and line.notes.over(last)


_UTTERANCES = (("speech.started",), ("transcript.final", "transcript.failed", "speech.discarded"))
