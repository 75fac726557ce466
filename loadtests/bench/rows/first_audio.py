"""Time to first audio and processor time of a narration, beside the same engines in one process."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns
from typing import Final

from loadtests.bench.measured_row import MeasuredRow
from loadtests.client.api_connection import ApiConnection
from loadtests.client.received_answers import CallerPlan, ask_together
from loadtests.report.tables import ComparisonRow, percentile, say
from loadtests.servers.system_processes import SystemMeter, SystemUsage
from pipeline.engines.ports import ChatRequest, LanguageModel, Message, OpusChunk, Speaker
from pipeline.engines.registry import build_language_model, build_text_to_speech
from pipeline.engines.routed_speaker import EncodingSpeaker
from pipeline.tts.normalisation.spoken_text import to_spoken
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import AppSettings, SessionSettings

PROMPTS = [
    f"Tell me {what} about {whom}."
    for what in ("a story", "something true", "a fairy tale", "a joke")
    for whom in ("a lighthouse keeper", "a red fox", "the sea at night", "an old clock", "two brothers")
]
_MS = 1e6
_FLOOR: Final = "same engines, one process"


class DirectEngines:
    """The engines in this process: language model to first fragment to first chunk, nothing between."""

    def __init__(self, settings: AppSettings) -> None:
        self._language_model: LanguageModel = build_language_model(settings.language_model, settings.cache)
        voice = build_text_to_speech(settings.text_to_speech, settings.cache)
        self._speaker: Speaker = EncodingSpeaker(voice, settings.text_to_speech)

    async def first_audio_ns(self, prompt: str, settings: SessionSettings) -> int:
        began = monotonic_ns()
        async with aclosing(self._fragments(prompt, settings)) as texts:
            first = await anext(texts, None)
        if first is None:
            raise RuntimeError("the language model said nothing")
        async with aclosing(self._chunks(first, settings)) as chunks:
            async for _ in chunks:
                return monotonic_ns() - began
        raise RuntimeError(f"nothing to hear of {first!r}")

    async def narrate(self, prompt: str, settings: SessionSettings) -> float:
        """The whole answer, spoken: seconds of sound."""
        texts = [text async for text in self._fragments(prompt, settings)]
        return sum([chunk.ms for text in texts async for chunk in self._chunks(text, settings)]) / 1_000

    async def _fragments(self, prompt: str, settings: SessionSettings) -> AsyncGenerator[str, None]:
        buffer = SentenceBuffer(settings.sentences, settings.language)
        async with aclosing(self._language_model.stream(_request(prompt, settings))) as items:
            async for item in items:
                for fragment in buffer.push(item) if isinstance(item, str) else ():
                    yield fragment.text
        for fragment in buffer.flush():
            yield fragment.text

    async def _chunks(self, text: str, settings: SessionSettings) -> AsyncGenerator[OpusChunk, None]:
        spoken = to_spoken(text, settings.language)
        async with aclosing(self._speaker.speak(spoken.text, voice=settings.voice)) as items:
            async for item in items:
                if isinstance(item, OpusChunk):
                    yield item

    async def aclose(self) -> None:
        await self._language_model.aclose()
        await self._speaker.aclose()


def _request(prompt: str, settings: SessionSettings) -> ChatRequest:
    return ChatRequest(
        (Message("system", settings.system_prompt), Message("user", prompt)),
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )


async def first_audio_row(url: str, settings: AppSettings, rounds: int) -> ComparisonRow:
    """Alternating runs, the same prompts at temperature 0; two warm-up prompts are thrown away."""
    wish = settings.session.model_copy(update={"temperature": 0.0, "max_tokens": 40})
    floor, client = DirectEngines(settings), ApiConnection(url)
    ours: list[float] = []
    base: list[float] = []
    try:
        for number, prompt in enumerate((PROMPTS * rounds)[: rounds + 2]):
            direct = await floor.first_audio_ns(prompt, wish) / _MS
            heard = await _client_first_audio_ns(client, prompt) / _MS
            if number >= 2:
                base.append(direct)
                ours.append(heard)
    finally:
        await floor.aclose()
        await client.aclose()
    extra = percentile(ours, 0.5) - percentile(base, 0.5)
    kept = extra <= max(20.0, 0.1 * percentile(base, 0.5))
    name, note = "time to first audio at a client", f"{extra:+.1f} ms at p50"
    return ComparisonRow(name, "ms", ours, base, _FLOOR, "<= 10 % or 20 ms over", kept, note)


async def _client_first_audio_ns(client: ApiConnection, prompt: str) -> int:
    session = await client.create(temperature=0.0, max_tokens=40)
    async with client.stream(session, after=1, audio="opus") as stream:
        sent = await stream.ask(prompt)
        heard = await stream.first("audio.chunk")
        await stream.first("turn.completed")  # the next round starts on idle engines
    return heard.at_ns - sent


def settings_for(cache: Path) -> AppSettings:
    """The defaults, with weights from `cache`."""
    return AppSettings(cache=cache)


TOKENS: Final = 64
_RAY: Final = frozenset({"Controller", "Proxy", "Ray", "Rest"})
"""Roles that are not of the system itself; the note says how much they took."""
_WARM_UP: Final = 1


@dataclass
class NarrationCost:
    """Processor seconds for a minute of sound, narration by narration."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    by_role: Counter[str] = field(default_factory=Counter)
    """Processor seconds of all of them."""
    sound_s: float = 0.0


async def narrating(url: str, meter: SystemMeter, settings: AppSettings, rounds: int) -> NarrationCost:
    """The same questions to both, in turns, at temperature 0; the first is thrown away."""
    wish = settings.session.model_copy(update={"temperature": 0.0, "max_tokens": TOKENS})
    habit = CallerPlan(settings={"temperature": 0.0, "max_tokens": TOKENS})
    floor, found = DirectEngines(settings), NarrationCost()
    try:
        for number in range(rounds + _WARM_UP):
            prompt = PROMPTS[number % len(PROMPTS)]
            say(f"h: narration {number} of {rounds}")
            before = await asyncio.to_thread(meter.read)
            heard = await ask_together(url, 1, habit, [prompt])
            used = (await asyncio.to_thread(meter.read)).since(before)
            if heard.failures:
                raise RuntimeError(heard.failures[0])
            cpu = time.process_time()
            sound_s = await floor.narrate(prompt, wish)
            direct = time.process_time() - cpu
            if number >= _WARM_UP:
                _note(found, used, heard.sound_s)
                found.floor.append(60 * direct / sound_s)
    finally:
        await floor.aclose()
    return found


def _note(found: NarrationCost, used: SystemUsage, sound_s: float) -> None:
    # The log server says itself what it took, to a finer grain than its process does.
    spent = {**used.cpu_s, "Log server": used.log_cpu_s}
    found.ours.append(60 * sum(cpu for role, cpu in spent.items() if role not in _RAY) / sound_s)
    found.by_role.update(spent)
    found.sound_s += sound_s


def narrated_row(found: NarrationCost) -> MeasuredRow:
    """With what each part took of it."""
    minute = {role: 60 * cpu / found.sound_s for role, cpu in found.by_role.most_common()}
    parts = [f"{role} {cpu:.2f}" for role, cpu in minute.items() if role not in _RAY and cpu >= 0.005]
    around = sum(cpu for role, cpu in minute.items() if role in _RAY)
    name, note = (
        "CPU for a minute of narration, real engines",
        f"{', '.join(parts)}; Ray beside it {around:.2f}",
    )
    return MeasuredRow.each("h.minute", ComparisonRow(name, "s", found.ours, found.floor, _FLOOR, note=note))
