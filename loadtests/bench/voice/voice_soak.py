"""A caller who speaks for long: how far the texts are behind the sound, at the beginning and at the end."""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

from loadtests.client import recorded_speech
from loadtests.client.api_connection import ApiConnection
from loadtests.client.voice_call import VoiceCall, voice_call
from loadtests.report.tables import markdown, spread

_LIMIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Soak:
    """Result of a soak. Lags are milliseconds."""

    seconds: float
    took_s: float
    partial_lag: list[float]
    """From the sound at a partial's end being spoken to its text arriving."""
    final_lag: list[float]
    """From an utterance's last sound to its text."""
    utterances: int
    failed: int
    """Utterances that were not written down."""


async def soak(url: str, seconds: float) -> Soak:
    """Speaks for so long. `make load` with a soak of calls tells what the processes hold meanwhile."""
    async with ApiConnection(url) as client:
        session = await client.create(listening={"reply": False, "mode": "realtime"})
        async with voice_call(client, session, audio="none") as caller:
            began = monotonic()
            caller.microphone.say(recorded_speech.endless(recorded_speech.librivox(), seconds))
            while caller.microphone.speaking:  # noqa: ASYNC110 - half an hour of real time, not an event
                await asyncio.sleep(1)
            await asyncio.sleep(2)  # of silence, which ends the last utterance
            await _all_written(caller)
            took_s = monotonic() - began
            partials = _lags(caller, "transcript.partial", "at_ms")
            finals = _lags(caller, "transcript.final", "end_ms")
            failed = _count(caller, "transcript.failed")
    return Soak(seconds, took_s, partials, finals, len(finals), failed)


async def _all_written(caller: VoiceCall) -> None:
    def written() -> bool:
        answered = _count(caller, "transcript.final", "transcript.failed")
        return answered >= _count(caller, "speech.started") > 0

    await caller.until_so(written, limit_s=_LIMIT_S)


def _count(caller: VoiceCall, *kinds: str) -> int:
    return sum(arrival.type in kinds for arrival in caller.arrivals)


def _lags(caller: VoiceCall, kind: str, field: str) -> list[float]:
    instant = caller.microphone.instant_s
    return [(each.at_s - instant(each.data[field])) * 1_000 for each in caller.arrivals if each.type == kind]


def soak_table(soak: Soak) -> str:
    """Lags at the beginning and at the end."""
    tenth = max(1, len(soak.partial_lag) // 10)
    rows = [
        ["partial text behind the sound, all", spread(soak.partial_lag), "ms"],
        ["… first tenth", spread(soak.partial_lag[:tenth]), "ms"],
        ["… last tenth", spread(soak.partial_lag[-tenth:]), "ms"],
        ["final text behind the last sound", spread(soak.final_lag), "ms"],
        ["utterances", str(soak.utterances), f"MISSED, {soak.failed} failed" if soak.failed else ""],
        ["sound per second", f"{soak.seconds / soak.took_s:.2f}", "x"],
    ]
    return markdown(["what", "p50 / p95", "unit"], rows)
