"""A caller who speaks for long: how far texts are behind the sound, and what the processes hold meanwhile."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from loadtests.client import recorded_speech
from loadtests.client.api_connection import ApiConnection
from loadtests.client.voice_call import VoiceCall, voice_call
from loadtests.report.tables import markdown, percentile, slope_per_minute, spread
from loadtests.servers.system_processes import ProcessSample, members

REPLICAS: Final = ("Gateway", "SpeechToText")
_SAMPLE_S: Final = 10.0
_LIMIT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class ReplicaSample:
    """Memory and files of the processes, so many seconds after the beginning. Sums over replicas."""

    at_s: float
    rss_mb: dict[str, float]
    fds: dict[str, int]


class ReplicaWatch:
    """Samples of the replicas of the system whose home this is; None: there is none to look at."""

    def __init__(self, home: Path | None) -> None:
        self.samples: list[ReplicaSample] = []
        self.gone: list[str] = []
        """Processes that are gone, and when that was seen."""
        self._home = home
        self._began_s = monotonic()
        self._known: dict[str, ProcessSample] = {}

    async def run(self) -> None:
        """Take samples, until cancelled."""
        while self._home is not None:
            self.samples.append(self.look())
            await asyncio.sleep(_SAMPLE_S)

    def look(self) -> ReplicaSample:
        """Take a sample, and note the processes that have gone since the last one."""
        at_s = round(monotonic() - self._began_s, 1)
        rss, fds = dict.fromkeys(REPLICAS, 0.0), dict.fromkeys(REPLICAS, 0)
        present = {one.life: one for one in members(self._home)} if self._home else {}
        present = {life: one for life, one in present.items() if one.part in REPLICAS}
        for one in present.values():
            rss[one.part] += one.mb
            fds[one.part] += one.fds
        for life, one in self._known.items():
            if life not in present:
                self.gone.append(f"{one.part} (process {one.process.split()[0]}), seen after {at_s:g} s")
        self._known = present
        return ReplicaSample(at_s, rss, fds)


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
    samples: list[ReplicaSample]
    gone: list[str]
    """Processes that went away meanwhile."""


async def soak(url: str, home: Path | None, seconds: float) -> Soak:
    """`home`: of the system under test, by which its processes are found."""
    watch = ReplicaWatch(home)
    async with ApiConnection(url) as client:
        session = await client.create(listening={"reply": False, "mode": "realtime"})
        async with voice_call(client, session, audio="none") as caller:
            began = monotonic()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch.run())
                caller.microphone.say(recorded_speech.endless(recorded_speech.librivox(), seconds))
                while caller.microphone.speaking:  # noqa: ASYNC110 - half an hour of real time, not an event
                    await asyncio.sleep(1)
                await asyncio.sleep(2)  # of silence, which ends the last utterance
                await _all_written(caller)
                watching.cancel()
            watch.look()  # processes that went after the last sample are told as well
            took_s = monotonic() - began
            partials = _lags(caller, "transcript.partial", "at_ms")
            finals = _lags(caller, "transcript.final", "end_ms")
            failed = _count(caller, "transcript.failed")
    return Soak(seconds, took_s, partials, finals, len(finals), failed, watch.samples, watch.gone)


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
    """Lags at the beginning and at the end, and what grew."""
    tenth = max(1, len(soak.partial_lag) // 10)
    rows = [
        ["partial text behind the sound, all", spread(soak.partial_lag), "ms"],
        ["… first tenth", spread(soak.partial_lag[:tenth]), "ms"],
        ["… last tenth", spread(soak.partial_lag[-tenth:]), "ms"],
        ["final text behind the last sound", spread(soak.final_lag), "ms"],
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
