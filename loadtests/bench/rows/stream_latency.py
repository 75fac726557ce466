"""Latency of the stream itself, with scripted engines: deltas, resume, stop."""

import asyncio
import json
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import aclosing
from time import monotonic_ns
from typing import Final

from websockets.asyncio.client import connect

from loadtests.client.api_connection import ApiConnection
from loadtests.client.face_clients import Face, native
from loadtests.report.tables import ComparisonRow, percentile

STREAMS: Final = 10
SECONDS: Final = 8
SCRIPT: Final = {"stamp": True, "delta_chars": 1, "per_delta_ms": 20, "reply": "x" * (50 * SECONDS)}
_MS: Final = 1e6
FLOOR: Final = "engine straight into a WebSocket"
_WARM_UP: Final = 25
"""Deltas of each stream that are thrown away."""


async def delays(url: str, floor_url: str, seconds: int = SECONDS) -> tuple[list[float], list[float]]:
    """Ours and the floor's, in milliseconds; so long of each, after a moment that does not count."""
    wanted = 50 * seconds
    return await face_delays(native, url, wanted), await bare_delays(floor_url, wanted)


def delays_row(ours: Sequence[float], floor: Sequence[float], of: str = "") -> ComparisonRow:
    """Of all that was measured."""
    kept = percentile(ours, 0.5) <= 2 and percentile(ours, 0.95) <= 8
    name = f"text delta, engine to client, {STREAMS} x 50/s{of}"
    return ComparisonRow(name, "ms", ours, floor, FLOOR, "p50 <= 2, p95 <= 8 ms", kept)


async def resume_row(url: str, rounds: int) -> ComparisonRow:
    """From reconnecting with a cursor to the first fact missed; the socket is cut in the middle of a turn."""
    ours: list[float] = []
    floor: list[float] = []
    async with ApiConnection(url) as client:
        session = await client.create(speak=False)
        async with client.stream(session, after=1) as stream:
            await stream.ask("resume")
            seen = (await stream.first("text.delta")).event["seq"]
            stream.cut()
        for _ in range(rounds):
            began = monotonic_ns()
            async with client.stream(session, after=seen) as stream:
                arrival = await stream.first("text.delta")
                if arrival.event["seq"] != seen + 1 and arrival.data["at"] == 0:
                    raise RuntimeError(f"after {seen} came {arrival.event['seq']}")
                stream.cut()
            ours.append((arrival.at_ns - began) / _MS)
            seen = arrival.event["seq"]
            began = monotonic_ns()
            async with client.stream(session, after=seen) as stream:
                hello = await stream.first("hello")
                stream.cut()
            floor.append((hello.at_ns - began) / _MS)
    name, kept = "resume, reconnect to first missed fact", percentile(ours, 0.95) <= 250
    note = "includes waiting for the next delta (20 ms apart) when none was missed"
    return ComparisonRow(name, "ms", ours, floor, "reconnect to hello", "p95 <= 250 ms", kept, note)


async def stop_row(url: str, rounds: int) -> ComparisonRow:
    """From sending stop to the turn's end at the client; no audio follows it."""
    ours: list[float] = []
    floor: list[float] = []
    async with ApiConnection(url) as client:
        for _ in range(rounds):
            session = await client.create()
            async with client.stream(session, after=1, audio="opus") as stream:
                await stream.ask("stop me")
                await stream.first("audio.chunk")
                sent = await stream.send({"type": "control", "action": "stop"})
                stopped = await stream.first("turn.stopped")
                ours.append((stopped.at_ns - sent) / _MS)
                sent = await stream.send({"type": "ping"})
                floor.append(((await stream.first("pong")).at_ns - sent) / _MS)
    name, kept = "stop, command to the last byte", percentile(ours, 0.95) <= 100
    return ComparisonRow(name, "ms", ours, floor, "ping to pong", "p95 <= 100 ms", kept)


async def _together(sources: Iterable[Awaitable[list[float]]]) -> list[float]:
    lists = await asyncio.gather(*sources)
    return [delay for series in lists for delay in series[_WARM_UP:]]


async def face_delays(face: Face, url: str, wanted: int = 4_096) -> list[float]:
    """Of ten streams at once; each of at most so many deltas."""
    return await _together(_our_delays(face, url, wanted) for _ in range(STREAMS))


async def bare_delays(url: str, wanted: int = 50 * SECONDS) -> list[float]:
    """The floor's, of ten streams at once."""
    return await _together(_bare_delays(url, wanted) for _ in range(STREAMS))


async def _our_delays(face: Face, url: str, wanted: int) -> list[float]:
    delays: list[float] = []
    async with aclosing(face(url, speak=False, max_tokens=wanted)) as chunks:
        async for chunk in chunks:
            delays += ages(chunk.text, chunk.at_ns)
    return delays


async def _bare_delays(url: str, wanted: int) -> list[float]:
    delays: list[float] = []
    async with connect(url, compression=None) as socket:
        await socket.send("stream")
        async for frame in socket:
            now = monotonic_ns()
            delays += ages(json.loads(frame)["data"]["text"], now)
            if len(delays) >= wanted:
                break
    return delays


def ages(text: str, now: int) -> list[float]:
    """How old each stamp in the text is, in milliseconds."""
    return [(now - int(stamp)) / _MS for stamp in text.split()]
