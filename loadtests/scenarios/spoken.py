"""Scenarios of a caller who speaks: a call, and speech over an answer."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from loadtests.client.api_connection import Failed
from loadtests.client.recorded_speech import Clip
from loadtests.client.session_connection import ResumableInput, SessionConnection
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.client.voice_call import PacedMicrophone
from loadtests.scenarios import prompts
from loadtests.scenarios.scenario import ScenarioOptions


async def phone_call(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """A call: questions are spoken, answers listened to."""
    async with caller.arrived(knobs.settings) as line, microphone(line) as mouth:
        for asked in range(knobs.turns):
            if asked:
                await line.read_for(caller.dice.uniform(0.5, 1.5) * knobs.think_s)
            turn = await spoken(line, mouth, caller.dice.choice(knobs.recordings))
            await line.hear_out(turn)


@asynccontextmanager
async def microphone(line: SessionConnection) -> AsyncIterator[PacedMicrophone]:
    """Open on this line, and never silent, until the block ends."""
    line.notes.spoken_to = True
    line.voice = ResumableInput(str(uuid.uuid4()))
    await line.send(**line.voice.opening())
    await line.until(lambda: "input.ready" in line.moments)
    mouth = PacedMicrophone(line.speak)
    async with asyncio.TaskGroup() as tasks:
        speaking = tasks.create_task(mouth.run())
        await asyncio.sleep(0)  # its clock begins with its first step
        try:
            yield mouth
        finally:
            speaking.cancel()
            line.voice = None


async def spoken(line: SessionConnection, mouth: PacedMicrophone, clip: Clip) -> int:
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


def _answered(line: SessionConnection, before: int, began_s: float, mouth: PacedMicrophone) -> bool:
    """All is said and written down, and what was asked last is over. One clip can be several utterances."""
    if mouth.speaking or len(line.notes.turns) == before:
        return False
    begun, written = (max(line.moments.get(kind, 0.0) for kind in kinds) for kinds in _UTTERANCES)
    last = next(reversed(line.notes.turns))
    return written >= begun > began_s and line.notes.over(last)


_UTTERANCES = (("speech.started",), ("transcript.final", "transcript.failed", "speech.discarded"))


_SILENCE: Final = ("playback.paused", "playback.flushed")
_LISTEN_S = 0.8
"""To the answer, before it is spoken over."""
_SENTENCES = 200
"""So much that it is still being made when it is spoken over, however fast that goes."""


async def barge_in(knobs: ScenarioOptions, caller: VirtualCaller) -> None:
    """A long text is read out, and spoken over until it stops."""
    async with caller.arrived(knobs.settings) as line:
        due_s = caller.first_due()
        async with microphone(line) as mouth:
            line.notes.spoken_to = False  # the question is a text
            turn = await line.begin(due_s, text=prompts.story(caller.mark, caller.dice, _SENTENCES))
            await line.until(lambda: line.notes.turns[turn].answer.ttfa_ms is not None)
            await line.read_for(_LISTEN_S)
            clip = caller.dice.choice(knobs.recordings)
            begins_ms = mouth.say(clip.pcm)
            onset_s = mouth.instant_s(begins_ms + clip.bounds_ms[0])
            # A gateway that is late hears an interruption at once: it flushes, and never paused.
            for series, kinds in (("held", _SILENCE), ("flushed", _SILENCE[1:])):
                caller.measure(series, onset_s, await _noticed(line, kinds, onset_s))
            await line.until(lambda: line.notes.over(turn))


async def _noticed(line: SessionConnection, kinds: Sequence[str], onset_s: float) -> float:
    """When the first of them came."""

    def since() -> list[float]:
        return [at_s for kind in kinds if (at_s := line.moments.get(kind, 0.0)) > onset_s]

    try:
        await line.until(lambda: bool(since()))
    except TimeoutError as error:
        raise Failed("timeout", f"no {' or '.join(kinds)} after speech over the answer") from error
    return min(since())
