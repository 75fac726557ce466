"""Many callers who ask at once, and what each of them hears: words, sound, and the silence in between."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from loadtests.client.api_connection import ApiConnection, EventSocket
from loadtests.client.received_events import AnswerPlayback, ReceivedAnswer

_PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class CallerPlan:
    """Behaviour of all callers of a group."""

    turns: int = 1
    listen: bool = False
    """Hear an answer to its end before the next question."""
    think_s: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    verbatim: bool = False
    """The prompt is a text to be read aloud as it is."""
    stagger_s: float = 0.0
    """Each begins so much later than the one before."""


@dataclass(frozen=True, slots=True)
class CallerResults:
    """Results of a group of callers."""

    answers: Sequence[ReceivedAnswer]
    failures: Sequence[str]
    seconds: float

    def events(self) -> Counter[str]:
        return sum((answer.events for answer in self.answers), Counter())

    @property
    def sound_s(self) -> float:
        return sum(answer.sound_ms for answer in self.answers) / 1_000


async def ask_together(url: str, people: int, habit: CallerPlan, prompts: Sequence[str]) -> CallerResults:
    """Run callers, each with a session and a socket of its own, who ask one question after the other."""
    audio = "opus" if habit.settings.get("speak", True) else "none"
    answers: list[ReceivedAnswer] = []
    failures: list[str] = []
    began = monotonic()

    async def caller(number: int) -> None:
        session = await client.create(**habit.settings)
        await asyncio.sleep(habit.stagger_s * number)
        async with client.stream(session, after=1, audio=audio) as stream:
            for turn in range(habit.turns):
                prompt = prompts[(number * habit.turns + turn) % len(prompts)]
                try:
                    answers.append(await asyncio.wait_for(answered(stream, prompt, habit), _PATIENCE_S))
                except (TimeoutError, RuntimeError) as error:
                    failures.append(f"person {number}, question {turn}: {error or 'no answer'}")
                await asyncio.sleep(habit.think_s)

    async with ApiConnection(url) as client, asyncio.TaskGroup() as tasks:
        for number in range(people):
            tasks.create_task(caller(number))
    return CallerResults(answers, failures, monotonic() - began)


async def answered(stream: EventSocket, prompt: str, habit: CallerPlan) -> ReceivedAnswer:
    """Ask, and hear the answer to its end. Raises RuntimeError where it has none, or not a good one."""
    wish = {"type": "turn.request", ("text" if habit.verbatim else "prompt"): prompt}
    playback = AnswerPlayback((await stream.send(wish)) / 1e9)
    async with aclosing(stream.until_over()) as arrivals:
        async for arrival in arrivals:
            now = arrival.at_ns / 1e9
            playback.take(arrival.type, arrival.data, now, sound_bytes=len(arrival.sound))
    if playback.answer.ended != "turn.completed":
        raise RuntimeError(f"it ended with {playback.answer.ended}")
    if habit.listen:
        await asyncio.sleep(playback.remaining_s(monotonic()))
    return playback.answer
