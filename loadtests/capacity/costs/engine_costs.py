"""Costs of the engines by themselves: processor seconds, in a process that does nothing else."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from loadtests.client import recorded_speech
from loadtests.report.tables import percentile
from pipeline.engines.ports import (
    ChatRequest,
    Completion,
    LanguageModel,
    Message,
    OpusChunk,
    Speaker,
    SpeechToText,
    Transcript,
    Utterance,
)
from pipeline.engines.registry import build_language_model, build_speech_to_text, build_text_to_speech
from pipeline.engines.routed_speaker import EncodingSpeaker
from schemas.settings import AppSettings

TOKENS: Final = 64
SENTENCES: Final = (
    "The old keeper climbed the stairs of the lighthouse every evening and lit the lamp for the ships.",
    "One night a small fox came to his door, wet and shivering from the storm.",
    "He let it in, and they sat by the fire until the morning came.",
)
_CONTEXT: Final = " ".join(SENTENCES)


async def decoding(model: LanguageModel, together: int) -> dict[str, float]:
    """Let it write so many answers at once.

    Seconds: processor time for each token of all; at the median, between two tokens of one answer, and to the
    first delta of each.
    """
    began, cpu = time.monotonic(), time.process_time()
    rows = await asyncio.gather(*(_written(model, number, began) for number in range(together)))
    spent = time.process_time() - cpu
    steps = [(last - first) / max(1, count - 1) for first, last, count in rows]
    return {
        "llm_cpu_s_per_token": round(spent / max(1, sum(count for _, _, count in rows)), 5),
        "llm_step_s": round(percentile(steps, 0.5), 5),
        "llm_first_s": round(percentile([first for first, _, _ in rows], 0.5), 4),
    }


async def _written(model: LanguageModel, number: int, began: float) -> tuple[float, float, int]:
    request = ChatRequest(
        (Message("system", _CONTEXT), Message("user", f"Number {number}: tell me what happened next.")),
        max_tokens=TOKENS,
        temperature=0.0,
    )
    first = last = 0.0
    count = 0
    async with aclosing(model.stream(request)) as items:
        async for item in items:
            if isinstance(item, str):
                last = time.monotonic() - began
                first = first or last
            elif isinstance(item, Completion):
                count = item.tokens_out
    return first, last, count


async def prefill_cpu(model: LanguageModel, repeats: int = 6) -> float:
    """Processor seconds from a question that is new to the model to its first token."""
    spent: list[float] = []
    for number in range(repeats + 1):
        text = f"{number} {_CONTEXT} {number}"
        request = ChatRequest((Message("user", text),), max_tokens=1, temperature=0.0)
        cpu = time.process_time()
        async with aclosing(model.stream(request)) as items:
            async for _ in items:
                pass
        spent.append(time.process_time() - cpu)
    return percentile(spent[1:], 0.5)


async def speaking(speaker: Speaker, sentences: int) -> dict[str, float]:
    """Sentences one after the other: seconds, characters and bytes, the first sound at the median."""
    cpu = time.process_time()
    texts = [SENTENCES[number % len(SENTENCES)] for number in range(sentences)]
    rows = [await _spoken(speaker, speaker.voices[0], text) for text in texts]
    spent = time.process_time() - cpu
    firsts, works, sounds_ms, sizes = zip(*rows, strict=True)
    sound_s = sum(sounds_ms) / 1_000
    return {
        "tts_cpu_s_per_s": round(spent / sound_s, 4),
        "tts_first_cpu_s": round(percentile(works, 0.5), 4),
        "tts_first_s": round(percentile(firsts, 0.5), 4),
        "tts_bytes_per_s": round(sum(sizes) / sound_s),
        "tts_chars_per_s": round(sum(map(len, texts)) / sound_s, 2),
    }


async def _spoken(speaker: Speaker, voice: str, text: str) -> tuple[float, float, int, int]:
    began, cpu = time.monotonic(), time.process_time()
    first = work = 0.0
    ms = size = 0
    async with aclosing(speaker.speak(text, voice=voice)) as items:
        async for item in items:
            if isinstance(item, OpusChunk):
                work = work or time.process_time() - cpu
                first = first or time.monotonic() - began
                ms += item.ms
                size += len(item.packets)
    return first, work, ms, size


async def listening_cpu(stt: SpeechToText, clips: Sequence[recorded_speech.Clip], *, partial: bool) -> float:
    """Processor seconds for each second of speech, written down whole and once."""
    cpu = time.process_time()
    for clip in clips:
        utterance = Utterance(clip.pcm, "en", words=not partial, partial=partial)
        async with aclosing(stt.transcribe(utterance)) as items:
            async for item in items:
                assert isinstance(item, str | Transcript)
    return (time.process_time() - cpu) / sum(clip.ms / 1_000 for clip in clips)


async def measure(cache: Path, batches: Sequence[int] = (1, 2, 4, 8)) -> dict[str, float | dict[str, float]]:
    """Every engine that this machine runs by default, one after the other."""
    settings = AppSettings(cache=cache)
    found: dict[str, float | dict[str, float]] = {}
    model = build_language_model(settings.language_model, cache)
    try:
        await decoding(model, 1)  # once to warm up
        rows = {str(together): await decoding(model, together) for together in batches}
        for name in rows[str(batches[0])]:
            found[name] = {together: row[name] for together, row in rows.items()}
        found["llm_prefill_cpu_s"] = round(await prefill_cpu(model), 4)
    finally:
        await model.aclose()
    speaker = EncodingSpeaker(build_text_to_speech(settings.text_to_speech, cache), settings.text_to_speech)
    try:
        await speaking(speaker, 1)
        found |= await speaking(speaker, 6)
    finally:
        await speaker.aclose()
    if recorded_speech.available():
        stt = build_speech_to_text(settings.speech_to_text, cache)
        try:
            clips = recorded_speech.librivox()
            await listening_cpu(stt, clips[:1], partial=False)
            found["stt_cpu_s_per_s"] = round(await listening_cpu(stt, clips, partial=False), 4)
            found["stt_partial_cpu_s_per_s"] = round(await listening_cpu(stt, clips, partial=True), 4)
        finally:
            await stt.aclose()
    return found
