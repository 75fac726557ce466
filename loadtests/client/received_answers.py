"""Many people who ask at once, and what each of them hears: words, sound, and the silence in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from loadtests.client.api_connection import ApiConnection
from loadtests.client.event_socket import EventSocket, TimedFrame
from schemas.events import TERMINAL

STALL_MS: Final = 20.0
"""A shorter wait for the next chunk is not heard: a page holds a little more than that back."""
_PATIENCE_S: Final = 300.0


@dataclass(slots=True)
class ReceivedAnswer:
    """One answer as its listener had it. Milliseconds from the question on."""

    ttft_ms: float | None = None
    ttfa_ms: float | None = None
    whole_ms: float = 0.0
    sound_ms: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    """For how long the loudspeaker had nothing to play, each time."""
    events: Counter[str] = field(default_factory=Counter)
    sound_bytes: int = 0
    characters: int = 0
    tokens: int = 0
    ended: str = ""

    @property
    def stalled(self) -> bool:
        return any(wait > STALL_MS for wait in self.waits_ms)


@dataclass(frozen=True, slots=True)
class CallerPlan:
    """What everybody does."""

    turns: int = 1
    listen: bool = False
    """Hear an answer to its end before the next question."""
    think_s: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    verbatim: bool = False
    """What is asked is to be read aloud as it is."""
    stagger_s: float = 0.0
    """Each begins so much later than the one before."""


@dataclass(frozen=True, slots=True)
class CallerResults:
    """What came of a crowd."""

    answers: Sequence[ReceivedAnswer]
    failures: Sequence[str]
    seconds: float

    def events(self) -> Counter[str]:
        return sum((answer.events for answer in self.answers), Counter())

    @property
    def sound_s(self) -> float:
        return sum(answer.sound_ms for answer in self.answers) / 1_000


class AnswerPlayback:
    """Takes an answer's frames as they come, and plays its chunks. Pure: every call says what time it is."""

    def __init__(self, asked_s: float) -> None:
        self.answer = ReceivedAnswer()
        self._asked_s = asked_s
        self._plays_until_s: float | None = None

    def take(self, kind: str, data: Mapping[str, Any], now_s: float, *, sound_bytes: int = 0) -> None:
        answer, since_ms = self.answer, (now_s - self._asked_s) * 1_000
        answer.events[kind] += 1
        match kind:
            case "text.delta":
                answer.characters += len(data["text"])
                answer.ttft_ms = since_ms if answer.ttft_ms is None else answer.ttft_ms
            case "text.completed":
                answer.tokens += data["tokens_out"]
            case "audio.chunk":
                answer.ttfa_ms = since_ms if answer.ttfa_ms is None else answer.ttfa_ms
                answer.sound_bytes += sound_bytes
                self._play(data["ms"], now_s)
            case kind if kind in TERMINAL:
                answer.ended, answer.whole_ms = kind, since_ms

    def _play(self, ms: float, now_s: float) -> None:
        due = self._plays_until_s
        if due is not None and now_s > due:
            self.answer.waits_ms.append((now_s - due) * 1_000)
        self._plays_until_s = (now_s if due is None else max(due, now_s)) + ms / 1_000
        self.answer.sound_ms += ms

    def remaining_s(self, now_s: float) -> float:
        """Of what came, so much has not been heard yet."""
        return max(0.0, (self._plays_until_s or now_s) - now_s)


async def ask_together(url: str, people: int, habit: CallerPlan, prompts: Sequence[str]) -> CallerResults:
    """Everybody has a session and a socket of their own, and asks one question after the other."""
    answers: list[ReceivedAnswer] = []
    failures: list[str] = []
    began = monotonic()

    async def person(number: int) -> None:
        session = await client.create(**habit.settings)
        await asyncio.sleep(habit.stagger_s * number)
        async with client.stream(session, after=1, audio=_audio(habit)) as stream:
            for turn in range(habit.turns):
                prompt = prompts[(number * habit.turns + turn) % len(prompts)]
                try:
                    answers.append(await asyncio.wait_for(answered(stream, prompt, habit), _PATIENCE_S))
                except (TimeoutError, RuntimeError) as error:
                    failures.append(f"person {number}, question {turn}: {error or 'no answer'}")
                await asyncio.sleep(habit.think_s)

    async with ApiConnection(url) as client, asyncio.TaskGroup() as tasks:
        for number in range(people):
            tasks.create_task(person(number))
    return CallerResults(answers, failures, monotonic() - began)


def _audio(habit: CallerPlan) -> str:
    return "opus" if habit.settings.get("speak", True) else "none"


async def answered(stream: EventSocket, prompt: str, habit: CallerPlan) -> ReceivedAnswer:
    """Ask, and hear the answer to its end. Raises RuntimeError where it has none, or not a good one."""
    wish = {"type": "turn.request", ("text" if habit.verbatim else "prompt"): prompt}
    ears = AnswerPlayback((await stream.send(wish)) / 1e9)
    async with aclosing(_until_over(stream)) as arrivals:
        async for arrival in arrivals:
            now = arrival.at_ns / 1e9
            ears.take(arrival.type, arrival.data, now, sound_bytes=len(arrival.sound))
    if ears.answer.ended != "turn.completed":
        raise RuntimeError(f"it ended with {ears.answer.ended or 'the connection'}")
    if habit.listen:
        await asyncio.sleep(ears.remaining_s(monotonic()))
    return ears.answer


async def _until_over(stream: EventSocket) -> AsyncGenerator[TimedFrame, None]:
    async for arrival in stream.frames():
        if arrival.type == "error":
            raise RuntimeError(str(arrival.event))
        yield arrival
        if arrival.type in TERMINAL:
            return
