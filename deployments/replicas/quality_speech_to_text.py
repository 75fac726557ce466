"""The replica of the quality way with WhisperX, in WhisperX's environment: callers are decoded together."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from ray import serve

from deployments.replicas.speech_to_text import SpeechToTextReplica
from deployments.rpc.replica_telemetry import SILENT, Telemetry
from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.stt.transcription_providers import SpeechToTextWithProviders
from pipeline.engines.stt.whisperx.whisperx_engine import Answer, WhisperX, build
from schemas.settings.listening_settings import QualitySpeechToTextSettings
from schemas.settings.telemetry_settings import TelemetrySettings

_HALF_A_SECOND = bytes(16_000)


class QualitySpeechToTextReplica(SpeechToTextReplica):
    """Answers as its parent; who comes together is decoded together. Ready means: it has decoded once."""

    async def __init__(  # type: ignore[misc]
        self, settings: QualitySpeechToTextSettings, cache: Path, telemetry: TelemetrySettings = SILENT
    ) -> None:
        self.telemetry = Telemetry(telemetry, "QualitySpeechToText")
        self._engine = build(settings, cache)
        self._speech_to_text = SpeechToTextWithProviders(_Gathered(self._engine, settings), {})
        await self._engine.transcribe_together([Utterance(_HALF_A_SECOND, language="en")])

    async def batches(self) -> list[int]:
        """How many utterances, or pieces of long ones, each of the last batches had, the newest last."""
        return list(self._engine.batches)


class _Gathered:
    """Satisfies SpeechToText: the engine, with one of Serve's batch queues for each language.

    Serve closes a batch by the clock, whether the engine is free or not. So what comes while the engine works
    waits before the queue, and then enters it all at once: the longer the wait, the larger the batch.
    """

    def __init__(self, engine: WhisperX, settings: QualitySpeechToTextSettings) -> None:
        self._engine = engine
        self._gathered = serve.batch(
            max_batch_size=settings.batch, batch_wait_timeout_s=settings.batch_wait_s
        )
        self._queues: dict[str | None, Callable[[Utterance], Awaitable[Answer]]] = {}
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`."""
        async with aclosing(self._engine.transcribe_by(self._write, utterance)) as items:
            async for item in items:
                yield item

    def check(self) -> None:
        """Raises EngineDead where nothing can be expected of the engine any more."""
        self._engine.check()

    async def aclose(self) -> None:
        await self._engine.aclose()

    async def _write(self, piece: Utterance) -> Answer:
        await self._idle.wait()
        return await self._queue(piece.language)(piece)

    def _queue(self, language: str | None) -> Callable[[Utterance], Awaitable[Answer]]:
        """Bounded: the engine lets in only so many utterances, and only languages that it knows."""
        if language not in self._queues:

            async def decode(pieces: list[Utterance]) -> list[Answer]:
                self._working += 1
                self._idle.clear()
                try:
                    return await self._engine.transcribe_together(pieces)
                finally:
                    self._working -= 1
                    if not self._working:
                        self._idle.set()

            self._queues[language] = self._gathered(decode)
        return self._queues[language]
