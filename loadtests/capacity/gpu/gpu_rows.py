"""The steps of a run: words, a voice, whole answers, listeners, and calls, by so many sessions at once."""

import asyncio
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import httpx
import numpy as np
import soxr

from loadtests.bench.rows.first_audio import PROMPTS
from loadtests.bench.voice.voice_conversation import VoiceScenario, talk
from loadtests.client import recorded_speech
from loadtests.client.api_connection import ApiConnection
from loadtests.client.received_answers import CallerPlan, CallerResults, ask_together
from loadtests.report.tables import percentile, spread

_SPOKEN_HZ: Final = 24_000
"""Sample rate of `pcm`, as OpenAI documents it."""
SENTENCES: Final = (
    "The old keeper climbed the stairs of the lighthouse every evening and lit the lamp for the ships. "
    "One night a small fox came to his door, wet and shivering from the storm. "
    "He let it in, and they sat by the fire until the morning came."
)


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One step at one number of sessions. Milliseconds; empty where the step has no such figure."""

    step: str
    sessions: int
    ttft: Sequence[float] = ()
    first_sound: Sequence[float] = ()
    per_s: float | None = None
    """Tokens, or seconds of sound, a second, of all together."""
    unit: str = ""
    stalled: float | None = None
    """The share of answers that fell silent in between."""
    failures: Sequence[str] = ()
    note: str = field(default="")

    def keeps(self, target_ms: float) -> bool:
        """The target, without a stall in more than one of a hundred, and nobody left without an answer."""
        if self.failures or not self.first_sound:
            return False
        return percentile(self.first_sound, 0.95) <= target_ms and (self.stalled or 0.0) <= 0.01


async def words(url: str, sessions: int, turns: int, tokens: int) -> GpuRow:
    """Answers that nobody speaks: the language model, and the way of its words."""
    habit = CallerPlan(turns, settings={"speak": False, "max_tokens": tokens})
    heard = await ask_together(url, sessions, habit, PROMPTS)
    written = sum(answer.tokens for answer in heard.answers)
    per_s, failures = written / heard.seconds, heard.failures
    return GpuRow("words", sessions, _firsts(heard), per_s=per_s, unit="tokens", failures=failures)


async def voice(url: str, sessions: int, turns: int) -> GpuRow:
    """Texts that are read aloud: the voice, and the way of its sound."""
    heard = await ask_together(url, sessions, CallerPlan(turns, verbatim=True), [SENTENCES])
    return _sounding("voice", sessions, heard)


async def whole(url: str, sessions: int, turns: int, tokens: int) -> GpuRow:
    """Answers that are listened to, to their end, one after the other."""
    habit = CallerPlan(turns, listen=True, stagger_s=0.1, settings={"max_tokens": tokens})
    return _sounding("whole", sessions, await ask_together(url, sessions, habit, PROMPTS))


def _sounding(step: str, sessions: int, heard: CallerResults) -> GpuRow:
    return GpuRow(
        step,
        sessions,
        ttft=_firsts(heard) if step == "whole" else (),
        first_sound=[answer.ttfa_ms for answer in heard.answers if answer.ttfa_ms is not None],
        per_s=heard.sound_s / heard.seconds,
        unit="s of sound",
        stalled=sum(answer.stalled for answer in heard.answers) / max(1, len(heard.answers)),
        failures=heard.failures,
    )


def _firsts(heard: CallerResults) -> list[float]:
    return [answer.ttft_ms for answer in heard.answers if answer.ttft_ms is not None]


async def transcriptions(
    url: str, sessions: int, turns: int, clips: Sequence[recorded_speech.Clip]
) -> GpuRow:
    """Recordings that are written down in the quality way, so many at a time."""
    took: list[float] = []
    failures: list[str] = []
    began = monotonic()

    async def one(number: int) -> None:
        async with httpx.AsyncClient(base_url=url, headers=client.headers, timeout=600) as http:
            for turn in range(turns):
                clip = clips[(number + turn) % len(clips)]
                sent = monotonic()
                answer = await http.post(
                    "/v1/audio/transcriptions",
                    data={"model": "whisper-1", "language": "en"},
                    files={"file": (f"{clip.name}.wav", _wav(clip.pcm))},
                )
                if answer.is_success:
                    took.append((monotonic() - sent) * 1_000)
                else:
                    failures.append(f"{answer.status_code} {answer.text[:120]}")

    async with ApiConnection(url) as client:
        await asyncio.gather(*(one(number) for number in range(sessions)))
    seconds = sum(clips[(n + t) % len(clips)].ms / 1_000 for n in range(sessions) for t in range(turns))
    per_s, note = seconds / (monotonic() - began), f"a recording takes {spread(took)} ms" if took else ""
    return GpuRow("transcriptions", sessions, per_s=per_s, unit="s of speech", failures=failures, note=note)


def _wav(pcm: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(recorded_speech.RATE)
        sound.writeframes(pcm)
    return out.getvalue()


async def calls(url: str, sessions: int, clips: Sequence[recorded_speech.Clip], mode: str) -> GpuRow:
    """Callers who speak and listen: from the true end of a question to the first sound of its answer."""
    outcome = await talk(url, VoiceScenario("calls", {"mode": mode}, callers=sessions), clips)
    texts = [trace.arrived["transcript.final"] for trace in outcome.traces]
    text = f"{percentile(texts, 0.5):.0f}" if texts else "-"
    return GpuRow(
        "calls",
        sessions,
        ttft=[trace.arrived["text.delta"] for trace in outcome.traces],
        first_sound=[trace.audible for trace in outcome.traces],
        failures=outcome.failures,
        note=f"{mode} way; text after {text} ms",
    )


async def own_speech(url: str) -> list[recorded_speech.Clip]:
    """Sentences in the system's own voice, where no recordings of callers are installed."""
    wish = {"model": "tts-1", "voice": "alloy", "response_format": "pcm"}
    clips: list[recorded_speech.Clip] = []
    async with (
        ApiConnection(url) as client,
        httpx.AsyncClient(base_url=url, headers=client.headers, timeout=300) as http,
    ):
        for number, text in enumerate(SENTENCES.split(". ")):
            answer = await http.post("/v1/audio/speech", json=wish | {"input": text})
            samples = np.frombuffer(answer.raise_for_status().content, "<i2")
            pcm = soxr.resample(samples, _SPOKEN_HZ, recorded_speech.RATE).astype("<i2").tobytes()
            clips.append(recorded_speech.Clip(f"own-{number}", pcm, text))
    return clips
