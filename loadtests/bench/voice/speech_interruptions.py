"""Speaking over an answer: how soon it is held, given up, and silent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.client.api_connection import ApiConnection, TimedFrame
from loadtests.client.recorded_speech import Clip
from loadtests.client.voice_call import VoiceCall, voice_call
from loadtests.report.tables import ComparisonRow, percentile
from schemas.events import TERMINAL

_ANSWER: Final = {"temperature": 0.0, "max_tokens": 160}
"""Long enough to be spoken over while it is being made."""
_LISTEN_S: Final = 0.8
"""Of the answer, before the caller speaks over it."""
_AFTERWARDS_S: Final = 0.7
BUDGET_MS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Interruption:
    """One of them, in milliseconds; None: it did not happen."""

    held: float | None
    """From the onset of the caller's speech to playback.paused."""
    flushed: float | None
    """From there to playback.flushed."""
    detection: float | None
    """Of that: until the server had recorded it."""
    last_byte: float | None
    """From the flush being recorded to the last sound of that turn; 0: no sound came after it."""
    ended: float | None
    """From the flush being recorded to the turn's end."""


_NOTHING: Final = Interruption(held=None, flushed=None, detection=None, last_byte=None, ended=None)


async def interruptions(
    url: str, clips: Sequence[Clip], rounds: int
) -> tuple[list[Interruption], list[float]]:
    """And how long a ping takes beside them."""
    found: list[Interruption] = []
    pings: list[float] = []
    async with ApiConnection(url) as client:
        for number in range(rounds):
            session = await client.create(_ANSWER)
            async with voice_call(client, session) as caller:
                try:
                    found.append(await _interrupt(caller, clips[number % len(clips)]))
                except TimeoutError:
                    found.append(_NOTHING)
                pings.append(await _ping_ms(caller))
    return found, pings


async def _interrupt(caller: VoiceCall, clip: Clip) -> Interruption:
    await caller.send(type="turn.request", prompt="Tell me a long story about the sea.")
    chunk = await caller.until(lambda arrival: arrival.type == "audio.chunk")
    turn = chunk.turn
    await asyncio.sleep(_LISTEN_S)
    after = len(caller.arrivals)
    begins = caller.microphone.say(clip.pcm)
    onset_s = caller.microphone.instant_s(begins + clip.bounds_ms[0])
    await caller.until(lambda each: each.type in TERMINAL and each.turn == turn, limit_s=90)
    await asyncio.sleep(clip.ms / 1_000 + _AFTERWARDS_S)
    arrivals = caller.arrivals[after:]
    flushed = _first(arrivals, "playback.flushed", turn)
    flush_s = flushed.recorded_s(caller.epoch_s) if flushed else 0.0
    over = next((each for each in arrivals if each.type in TERMINAL and each.turn == turn), None)
    chunks = [arrival.at_s for arrival in arrivals if arrival.type == "audio.chunk" and arrival.turn == turn]
    return Interruption(
        held=_after(_first(arrivals, "playback.paused", None), onset_s),
        flushed=_after(flushed, onset_s),
        detection=(flush_s - onset_s) * 1_000 if flushed else None,
        last_byte=max([0.0, *((at_s - flush_s) * 1_000 for at_s in chunks)]) if flushed else None,
        ended=_after(over, flush_s) if flushed else None,
    )


async def _ping_ms(caller: VoiceCall) -> float:
    after = len(caller.arrivals)
    sent = await caller.send(type="ping")
    pong = await caller.until(lambda arrival: arrival.type == "pong", after=after)
    return (pong.at_s - sent) * 1_000


def _first(arrivals: Sequence[TimedFrame], kind: str, turn: int | None) -> TimedFrame | None:
    return next((each for each in arrivals if each.type == kind and each.turn == turn), None)


def _after(arrival: TimedFrame | None, then_s: float) -> float | None:
    return None if arrival is None else (arrival.at_s - then_s) * 1_000


def rows(
    found: Sequence[Interruption], pings: Sequence[float], hold_ms: int, interrupt_ms: int
) -> list[ComparisonRow]:
    """The floors of the first two are the speech that has to be heard first, by the settings."""

    held, flushed = "onset of speech over an answer to held", "onset of speech over an answer to flushed"
    hold, interrupt = [float(hold_ms)], [float(interrupt_ms)]
    ping = "ping to pong"
    return [
        _row(held, [each.held for each in found], hold, "speech asked for (hold_ms)"),
        _row(flushed, [each.flushed for each in found], interrupt, "speech asked for (interrupt_ms)"),
        _row("flushed to the turn's last audio byte", [each.last_byte for each in found], pings, ping),
        _row("flushed to the turn's end", [each.ended for each in found], pings, ping),
    ]


def _row(name: str, values: Sequence[float | None], floor: Sequence[float], floor_name: str) -> ComparisonRow:
    """Of the two beside a ping there is a budget."""
    series = [value for value in values if value is not None]
    told = floor_name == "ping to pong"
    budget, missing = f"p95 <= {BUDGET_MS:.0f} ms" if told else "-", len(values) - len(series)
    kept = percentile(series, 0.95) <= BUDGET_MS if told and series else None
    note = f"{missing} did not happen" if missing else ""
    return ComparisonRow(name, "ms", series, floor, floor_name, budget, False if missing else kept, note)
