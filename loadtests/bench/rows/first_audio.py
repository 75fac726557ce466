"""Time to first audio: a client of the whole system against the same engines called directly."""

from contextlib import aclosing
from pathlib import Path
from time import monotonic_ns

from loadtests.client.api_connection import ApiConnection
from loadtests.report.tables import ComparisonRow, percentile
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


class DirectEngines:
    """The engines in this process: language model to first fragment to first chunk, nothing between."""

    def __init__(self, settings: AppSettings) -> None:
        self._language_model: LanguageModel = build_language_model(settings.language_model, settings.cache)
        voice = build_text_to_speech(settings.text_to_speech, settings.cache)
        self._speaker: Speaker = EncodingSpeaker(voice, settings.text_to_speech)

    async def first_audio_ns(self, prompt: str, settings: SessionSettings) -> int:
        began = monotonic_ns()
        spoken = to_spoken(await self._first_fragment(prompt, settings), settings.language)
        async with aclosing(self._speaker.speak(spoken.text, voice=settings.voice)) as items:
            async for item in items:
                if isinstance(item, OpusChunk):
                    return monotonic_ns() - began
        raise RuntimeError(f"nothing to hear of {spoken.text!r}")

    async def narrate(self, prompt: str, settings: SessionSettings) -> float:
        """The whole answer, spoken: seconds of sound."""
        buffer = SentenceBuffer(settings.sentences, settings.language)
        texts: list[str] = []
        async with aclosing(self._language_model.stream(_request(prompt, settings))) as items:
            async for item in items:
                if isinstance(item, str):
                    texts += [fragment.text for fragment in buffer.push(item)]
        texts += [fragment.text for fragment in buffer.flush()]
        sound_ms = 0
        for text in texts:
            spoken = to_spoken(text, settings.language)
            async with aclosing(self._speaker.speak(spoken.text, voice=settings.voice)) as chunks:
                async for chunk in chunks:
                    sound_ms += chunk.ms if isinstance(chunk, OpusChunk) else 0
        return sound_ms / 1_000

    async def _first_fragment(self, prompt: str, settings: SessionSettings) -> str:
        buffer = SentenceBuffer(settings.sentences, settings.language)
        async with aclosing(self._language_model.stream(_request(prompt, settings))) as items:
            async for item in items:
                ready = buffer.push(item) if isinstance(item, str) else buffer.flush()
                if ready:
                    return ready[0].text
        raise RuntimeError("the language model said nothing")

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
    return ComparisonRow(
        "time to first audio at a client",
        "ms",
        ours,
        base,
        "same engines, one process",
        "<= 10 % or 20 ms over",
        kept,
        note=f"{extra:+.1f} ms at p50",
    )


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
