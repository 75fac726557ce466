"""Conversations under measurement: a clip is said, its answer is listened to, then the next one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from loadtests.listener import Client
from loadtests.speech import Clip
from loadtests.voice.caller import Arrival, Caller, calling
from loadtests.voice.trace import Trace, traced

OVER: Final = frozenset({"turn.completed", "turn.stopped", "turn.failed"})
MAX_TOKENS: Final = 24
"""Of an answer: it is played to its end, so it had better be short."""
_BREATH_S: Final = 0.4
"""Between the end of an answer and the next question."""
_PATIENCE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the sessions listen, and how many people call at once."""

    name: str
    listening: Mapping[str, Any] = field(default_factory=dict)
    callers: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    traces: Sequence[Trace]
    failures: Sequence[str]
    late_ms: Sequence[float]
    """By how much the callers' own frames left late: what is measured is no better than this."""


async def talk(url: str, scenario: Scenario, clips: Sequence[Clip]) -> Outcome:
    """Every caller says every clip once, each beginning with another one."""
    client = Client(url)
    traces: list[Trace] = []
    failures: list[str] = []
    late: list[float] = []

    async def one(number: int) -> None:
        mine = [*clips[number % len(clips) :], *clips[: number % len(clips)]]
        session = await client.create(
            listening=dict(scenario.listening), temperature=0.0, max_tokens=MAX_TOKENS
        )
        async with calling(url, session, headers=client.headers) as caller:
            await asyncio.sleep(_BREATH_S + 0.7 * number)  # people do not speak in chorus
            for clip in mine:
                try:
                    traces.append(await ask(caller, clip))
                except (TimeoutError, RuntimeError) as error:
                    failures.append(f"{clip.name}: {error or 'no answer'}")
            late.extend(caller.microphone.late_ms)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(scenario.callers):
                tasks.create_task(one(number))
    finally:
        await client.aclose()
    return Outcome(scenario, traces, failures, late)


async def ask(caller: Caller, clip: Clip) -> Trace:
    """Say it, and hear the answer to its end. Raises TimeoutError or RuntimeError where there is none."""
    after = len(caller.arrivals)
    begins = caller.microphone.say(clip.pcm)
    bounds = begins + clip.bounds_ms[0], begins + clip.bounds_ms[1]
    await caller.until_so(lambda: _answered(caller, caller.arrivals[after:]), limit_s=_PATIENCE_S)
    arrivals = caller.arrivals[after:]
    await asyncio.sleep(caller.loudspeaker.remaining_s(monotonic()) + _BREATH_S)
    return traced(clip, arrivals, bounds, caller.microphone.instant_s, caller.epoch_s)


def _answered(caller: Caller, arrivals: Sequence[Arrival]) -> bool:
    """All that was said is written down, and the last question has its answer."""
    if caller.microphone.speaking:
        return False
    kinds = [arrival.type for arrival in arrivals]
    written = kinds.count("transcript.final") + kinds.count("transcript.failed")
    if not written or written < kinds.count("speech.started"):
        return False
    asking = sum(arrival.data.get("taken") in ("turn", "joined") for arrival in arrivals)
    asked = [arrival.event["seq"] for arrival in arrivals if arrival.type == "turn.requested"]
    ended = {arrival.turn for arrival in arrivals if arrival.type in OVER}
    return len(asked) >= asking and (not asked or asked[-1] in ended)
