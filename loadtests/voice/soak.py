"""Somebody who speaks for half an hour: does listening keep up, and does anything grow?"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import numpy as np

from loadtests import speech
from loadtests.figures import percentile
from loadtests.listener import Client
from loadtests.voice.caller import Caller, calling
from loadtests.voice.report import markdown, pair
from loadtests.voice.watch import REPLICAS, Sample, Watch

_PIECE_MS: Final = 100
_AHEAD_MS: Final = 5_000
"""As fast as it goes: no more unwritten sound than this, so that nobody measures the network's buffers."""
_LIMIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of it. Lags are milliseconds."""

    seconds: float
    took_s: float
    partial_lag: list[float]
    """From the sound at a partial's end being spoken to its text arriving."""
    final_lag: list[float]
    """From an utterance's last sound to its text; of a fast run both are in the sound's own time."""
    utterances: int
    failed: int
    """Utterances that were not written down."""
    samples: list[Sample]
    gone: list[str]
    """Processes that went away meanwhile."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def soak(url: str, home: Path | None, seconds: float, *, fast: bool) -> Soak:
    """`home`: of the system under test, by which its processes are found."""
    client = Client(url)
    watch = Watch(home)
    try:
        session = await client.create(listening={"reply": False, "mode": "realtime"})
        async with calling(url, session, audio="none", paced=not fast, headers=client.headers) as caller:
            began = monotonic()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch.run())
                sound = speech.endless(speech.librivox(), seconds)
                sent = await (_pour(caller, sound) if fast else _say(caller, sound))
                await _all_written(caller)
                watching.cancel()
            watch.look()  # who went away after the last sample is told as well
            took_s = monotonic() - began
            partials = _lags(caller, "transcript.partial", "at_ms", sent)
            finals = _lags(caller, "transcript.final", "end_ms", sent)
    finally:
        await client.aclose()
    return Soak(
        seconds,
        took_s,
        partials,
        finals,
        len(finals),
        _count(caller, "transcript.failed"),
        watch.samples,
        watch.gone,
    )


_Sent = list[tuple[float, float]]
"""When (monotonic seconds) how much of the input (ms) had been sent; empty: by the microphone's own time."""


async def _say(caller: Caller, sound: bytes) -> _Sent:
    caller.microphone.say(sound)
    while caller.microphone.speaking:  # noqa: ASYNC110 - half an hour of real time, not an event
        await asyncio.sleep(1)
    await asyncio.sleep(2)  # of silence, which ends the last utterance
    return []


async def _pour(caller: Caller, sound: bytes) -> _Sent:
    sent: _Sent = []
    size = _PIECE_MS * speech.PER_MS
    progress = _Progress(caller)
    for start in range(0, len(sound), size):
        progress.sent_ms = start / speech.PER_MS
        await caller.until_so(progress.keeps_up, limit_s=_LIMIT_S)
        await caller.send_sound(sound[start : start + size])
        sent.append((monotonic(), progress.sent_ms + _PIECE_MS))
    await caller.send_sound(bytes(2_000 * speech.PER_MS))
    return sent


class _Progress:
    """How far the server says it has listened."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._seen = 0
        self._heard_ms = 0.0
        self.sent_ms = 0.0

    def keeps_up(self) -> bool:
        for arrival in self._caller.arrivals[self._seen :]:
            if arrival.type == "input.audio":
                self._heard_ms = arrival.data["at_ms"] + arrival.data["ms"]
        self._seen = len(self._caller.arrivals)
        return self.sent_ms - self._heard_ms < _AHEAD_MS


async def _all_written(caller: Caller) -> None:
    def written() -> bool:
        answered = _count(caller, "transcript.final", "transcript.failed")
        return answered >= _count(caller, "speech.started") > 0

    await caller.until_so(written, limit_s=_LIMIT_S)


def _count(caller: Caller, *kinds: str) -> int:
    return sum(arrival.type in kinds for arrival in caller.arrivals)


def _lags(caller: Caller, kind: str, field: str, sent: _Sent) -> list[float]:
    found = [arrival for arrival in caller.arrivals if arrival.type == kind]
    if not sent:
        instant = caller.microphone.instant_s
        return [(each.at_s - instant(each.data[field])) * 1_000 for each in found]
    times = np.array([at_s for at_s, _ in sent])
    reached = np.array([ms for _, ms in sent])
    return [float(np.interp(each.at_s, times, reached)) - each.data[field] for each in found]


def slope_per_minute(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Of the second half: what is made once and kept is made in the first."""
    half = len(values) // 2
    if len(values) - half < 2:
        return 0.0
    return float(np.polyfit(np.array(at_s[half:]), np.array(values[half:]), 1)[0]) * 60


def soak_table(soak: Soak) -> str:
    """Lags at the beginning and at the end, and what grew."""
    tenth = max(1, len(soak.partial_lag) // 10)
    rows = [
        ["partial text behind the sound, all", pair(soak.partial_lag), "ms"],
        ["… first tenth", pair(soak.partial_lag[:tenth]), "ms"],
        ["… last tenth", pair(soak.partial_lag[-tenth:]), "ms"],
        ["final text behind the last sound", pair(soak.final_lag), "ms"],
        ["utterances", str(soak.utterances), f"MISSED, {soak.failed} failed" if soak.failed else ""],
        ["sound per second", f"{soak.seconds / soak.took_s:.2f}", "x"],
    ]
    at_s = [sample.at_s for sample in soak.samples]
    for name in REPLICAS if soak.samples else ():
        rss = [sample.rss_mb[name] for sample in soak.samples]
        fds = [float(sample.fds[name]) for sample in soak.samples]
        growth = slope_per_minute(at_s, rss)
        rows.append([f"{name}: memory", f"{rss[0]:.0f} → {rss[-1]:.0f}", f"MB; {growth:+.2f} MB a minute"])
        rows.append([f"{name}: files", f"{fds[0]:.0f} → {fds[-1]:.0f}", f"most {percentile(fds, 1):.0f}"])
    if soak.samples:
        rows.append(
            ["processes that went away", "; ".join(soak.gone) or "none", "MISSED" if soak.gone else ""]
        )
    return markdown(["what", "p50 / p95, or from → to", "unit"], rows)
