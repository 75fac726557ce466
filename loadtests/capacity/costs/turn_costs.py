"""Costs of everything around the models: the whole system with engines that take no work, step by step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from redis import Redis

from loadtests.client.api_connection import ApiConnection, EventSocket
from loadtests.client.received_answers import CallerPlan, CallerResults, ask_together
from loadtests.client.recorded_speech import available, endless, librivox
from loadtests.client.voice_call import voice_call
from loadtests.report.tables import percentile
from loadtests.scenarios.prompts import STORY
from loadtests.servers.rhapsode_process import rhapsode
from loadtests.servers.system_processes import SystemMeter, SystemUsage
from pipeline.eventlog.redis.codec import Keys
from schemas.ids import SessionId

PEOPLE: Final = 10
DELTAS: Final = 300
_DELTA_MS: Final = 25
"""Slower than deltas are merged, so that each is an event."""
_SHORT: Final = "Yes."
SCRIPT: Final[dict[str, Any]] = {
    "reply": STORY,
    "reply_to": {"short": _SHORT, "long": "word " * DELTAS},
    "delta_chars": 5,
    "per_delta_ms": _DELTA_MS,
}
_T = TypeVar("_T")
Say = Callable[[str], None]
_IDLE_S: Final = 12.0
_SETTLE_S: Final = 2.0
_SILENT_S: Final = 3.0
"""A little longer than clients send silence in short frames, in case an utterance ends there."""


@dataclass(frozen=True, slots=True)
class CostStep:
    """Usage by one kind of load."""

    used: SystemUsage
    heard: CallerResults | None
    units: int
    """Callers, sockets, seconds: what the step says."""
    sessions: int = 0
    """Sessions that were created and connected within it, beside what it is about."""
    connecting: SystemUsage | None = None
    """Usage of as many sessions as there are units, created and connected before the step."""


@dataclass(frozen=True, slots=True)
class CostSteps:
    idle: CostStep
    alone: CostStep
    sockets: CostStep
    short: CostStep
    long: CostStep
    spoken: CostStep
    unheard: CostStep
    """As `listeners`, without them: where one answer is alone, each of its deltas wakes the gateway."""
    listeners: CostStep
    microphones: CostStep | None
    quiet: CostStep
    bytes_silent: dict[str, float]
    bytes_spoken: dict[str, float]


async def idle(meter: SystemMeter) -> CostStep:
    before = meter.read()
    await asyncio.sleep(_IDLE_S)
    return CostStep(meter.read().since(before), None, 1)


async def sockets(url: str, meter: SystemMeter, many: int) -> CostStep:
    """So many callers who are connected and say nothing."""
    before = meter.read()
    async with ApiConnection(url) as client, AsyncExitStack() as open_ones:
        for _ in range(many):
            session = await client.create()
            stream = await open_ones.enter_async_context(client.stream(session, after=0))
            await stream.first("hello")
        await asyncio.sleep(_SETTLE_S)
        opened = meter.read()
        await asyncio.sleep(_IDLE_S)
        used = meter.read().since(opened)
        grown = opened.since(before)
    kept = SystemUsage(used.at_s, used.cpu_s, grown.rss_mb, used.log_calls, used.log_cpu_s, grown.log_bytes)
    return CostStep(kept, None, many, connecting=grown)


async def asked(
    url: str, meter: SystemMeter, turns: int, prompt: str, *, people: int = PEOPLE, **settings: Any
) -> CostStep:
    """All callers ask the same, and receive the answer as fast as it comes."""
    before = meter.read()
    heard = await ask_together(
        url, people, CallerPlan(turns, settings={"max_tokens": 4_096, **settings}), [prompt]
    )
    if heard.failures:
        raise RuntimeError(heard.failures[0])
    return CostStep(meter.read().since(before), heard, people * turns, sessions=people)


async def listeners(url: str, meter: SystemMeter, many: int) -> CostStep:
    """One long answer, and so many who listen to it beside the one who asked; all are connected before."""
    async with ApiConnection(url) as client, AsyncExitStack() as open_ones:
        session = await client.create(speak=False, max_tokens=4_096)
        streams = [
            await open_ones.enter_async_context(client.stream(session, after=1)) for _ in range(many + 1)
        ]
        for stream in streams:
            await stream.first("hello")
        await asyncio.sleep(_SETTLE_S)
        before = meter.read()
        await streams[0].ask("long")
        counts = await asyncio.gather(*map(_deltas, streams))
        return CostStep(meter.read().since(before), None, sum(counts))


async def _deltas(stream: EventSocket) -> int:
    """Counts those of one answer."""
    return sum([arrival.type == "text.delta" async for arrival in stream.until_over()])


async def microphones(url: str, meter: SystemMeter, many: int, seconds: float, *, silent: bool) -> CostStep:
    """So many callers who speak without a pause, or say nothing, in real time; hearing takes no work."""
    pcm = b"" if silent else endless(librivox(), seconds)
    async with ApiConnection(url) as client, AsyncExitStack() as calls:
        callers = []
        for _ in range(many):
            session = await client.create(listening={"reply": False})
            callers.append(await calls.enter_async_context(voice_call(client, session)))
        await asyncio.sleep(_SILENT_S)
        before = meter.read()
        for caller in callers:
            caller.microphone.say(pcm)
        await asyncio.sleep(seconds)
        return CostStep(meter.read().since(before), None, round(many * seconds))


async def log_bytes(url: str, log: Redis, prompt: str, turns: int, **settings: Any) -> dict[str, float]:
    """Bytes of one session in the log server's memory: when it begins, and with each turn."""
    async with ApiConnection(url) as client:
        sizes, facts = [], 0
        session = await client.create(max_tokens=4_096, **settings)
        sizes.append(_size(log, session))
        async with client.stream(session, after=1) as stream:
            for _ in range(turns):
                await stream.ask(prompt)
                facts = int((await stream.first("turn.completed")).event["seq"])
        sizes.append(_size(log, session))
    begun, ended = sizes
    return {
        "session": begun[0] + begun[1],
        "turn_facts": (ended[0] - begun[0]) / turns,
        "turn_sound": (ended[1] - begun[1]) / turns,
        "facts": facts / turns,
    }


def _size(log: Redis, session: str) -> tuple[int, int]:
    """Bytes of events (with what is known of the session), and of sound."""
    partitions = int(log.hget("ev:cfg", "partitions") or 16)
    facts, meta, _, sound, _, _ = Keys(partitions).of(SessionId(session))
    sizes = [log.memory_usage(key, samples=0) or 0 for key in (facts, meta, sound)]
    return sizes[0] + sizes[1], sizes[2]


def measure(folder: Path, cache: Path, say: Say) -> CostSteps:
    """Start a system of its own with scripted engines, and put each kind of load on it."""
    home = folder / "scripted"
    with rhapsode(home, cache=cache, scripts={"language_model": SCRIPT}) as url, SystemMeter(home) as meter:
        return asyncio.run(_steps(url, meter, say))


async def _steps(url: str, meter: SystemMeter, say: Say) -> CostSteps:
    silent = {"speak": False}
    await asked(url, meter, 1, "tell me")  # once to warm up
    await asyncio.sleep(_SETTLE_S)

    async def told(what: str, step: Awaitable[_T]) -> _T:
        say(what)
        return await step

    return CostSteps(
        idle=await told("idle", idle(meter)),
        alone=await asked(url, meter, 12, "short", people=1, **silent),
        sockets=await told("open sockets", sockets(url, meter, 200)),
        short=await told("short answers", asked(url, meter, 12, "short", **silent)),
        long=await told("long answers", asked(url, meter, 1, "long", **silent)),
        spoken=await told("spoken answers", asked(url, meter, 3, "tell me")),
        unheard=await told("many listeners", listeners(url, meter, 0)),
        listeners=await listeners(url, meter, 20),
        quiet=await told("microphones", microphones(url, meter, 6, 12.0, silent=True)),
        microphones=await microphones(url, meter, 6, 12.0, silent=False) if available() else None,
        bytes_silent=await told("bytes of the log", log_bytes(url, meter.log, "long", 1, **silent)),
        bytes_spoken=await log_bytes(url, meter.log, "tell me", 2),
    )


ROLES: Final = {
    "gateway": "Gateway",
    "language_model": "LanguageModel",
    "text_to_speech": "TextToSpeech",
    "speech_to_text": "SpeechToText",
    "workers": "Workers",
    "log": "Log server",
}
_UNHEARD: Final = frozenset({"ping", "info", "client|setinfo", "memory|usage", "hello", "hget"})
"""Commands that are the measurement's own."""


def derived(steps: CostSteps) -> dict[str, Any]:
    """Processor seconds by role and part; and calls, bytes and memory."""
    found: dict[str, Any] = {name: _costs(steps, role) for name, role in ROLES.items()}
    found["log_calls"] = _calls(steps)
    found["log_bytes"] = _bytes(steps)
    found["gateway_mb_per_socket"] = round(steps.sockets.used.rss_mb["Gateway"] / steps.sockets.units, 4)
    alone = steps.alone.heard
    assert alone is not None
    found["first_words_s"] = round(
        percentile([answer.ttft_ms or 0.0 for answer in alone.answers], 0.5) / 1_000, 4
    )
    return found


def _costs(steps: CostSteps, role: str) -> dict[str, float]:
    idle = _spent(steps.idle.used, role) / steps.idle.used.at_s

    def used(usage: SystemUsage) -> float:
        return max(0.0, _spent(usage, role) - idle * usage.at_s)

    def net(step: CostStep) -> float:
        return used(step.used) - step.sessions * session

    assert steps.sockets.connecting is not None
    session = used(steps.sockets.connecting) / steps.sockets.units
    short, long, spoken = (net(step) / step.units for step in (steps.short, steps.long, steps.spoken))
    few, many, told = (_pieces(prompt) for prompt in ("short", "long", ""))
    delta = max(0.0, (long - short) / (many - few))
    turn = max(0.0, short - few * delta)
    chunks = _chunks(steps.spoken)
    others = steps.listeners.units - many
    values = {
        "session": session,
        "turn": turn,
        "delta": delta,
        "chunk": max(0.0, spoken - turn - told * delta) / chunks,
        "listener_delta": max(0.0, net(steps.listeners) - net(steps.unheard)) / others,
        "socket_s": net(steps.sockets) / steps.sockets.used.at_s / steps.sockets.units,
        "quiet_s": net(steps.quiet) / steps.quiet.units,
        "microphone_s": net(steps.microphones) / steps.microphones.units if steps.microphones else 0.0,
    }
    return {part: round(value, 7) for part, value in values.items()}


def _spent(usage: SystemUsage, role: str) -> float:
    return usage.log_cpu_s if role == "Log server" else usage.cpu_s.get(role, 0.0)


def _chunks(step: CostStep) -> float:
    """Of one answer."""
    assert step.heard is not None
    return step.heard.events()["audio.chunk"] / step.units


def _pieces(prompt: str) -> int:
    """Deltas that the model makes of its answer; where sound is ahead, several become an event (ADR 0285)."""
    answer: str = SCRIPT["reply_to"].get(prompt, SCRIPT["reply"])
    return -(-len(answer) // int(SCRIPT["delta_chars"]))


def _calls(steps: CostSteps) -> dict[str, dict[str, float]]:
    """How often the log server is asked: by a spoken turn, a socket at rest, and an idle system."""
    seconds = steps.idle.used.at_s

    def of(step: CostStep, by: float) -> Mapping[str, float]:
        idle = steps.idle.used.log_calls
        rates = {
            name: (calls - idle.get(name, 0) / seconds * step.used.at_s) / by
            for name, calls in step.used.log_calls.items()
            if name not in _UNHEARD
        }
        return {name: round(rate, 3) for name, rate in sorted(rates.items()) if rate >= 0.005}

    return {
        "spoken_turn": dict(of(steps.spoken, steps.spoken.units)),
        "socket_s": dict(of(steps.sockets, steps.sockets.units * steps.sockets.used.at_s)),
        "idle_s": {
            name: round(calls / seconds, 3)
            for name, calls in sorted(steps.idle.used.log_calls.items())
            if calls / seconds >= 0.1 and name not in _UNHEARD
        },
    }


def _bytes(steps: CostSteps) -> dict[str, float]:
    silent, spoken = steps.bytes_silent, steps.bytes_spoken
    delta = silent["turn_facts"] / silent["facts"]
    told, chunks = _pieces(""), _chunks(steps.spoken)
    return {
        "session": round(silent["session"]),
        "delta": round(delta, 1),
        "chunk_beside_sound": round((spoken["turn_facts"] - told * delta) / chunks, 1),
    }
