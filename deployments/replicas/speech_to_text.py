"""The SpeechToText deployments: a replica around one engine, and a client with the same methods."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from ray.serve.handle import DeploymentHandle

from deployments.rpc.replica_telemetry import SILENT, Observed, Telemetry, streaming
from deployments.rpc.serve_client import CONTEXT, Item, healthy, items_of
from pipeline.engines.ports import LocalSpeechToText, Stream, Transcript, Utterance, WrittenWord
from pipeline.engines.registry import build_quality_speech_to_text, build_speech_to_text
from pipeline.observability import span_names
from pipeline.observability.trace_propagation import inject
from schemas.settings.listening_settings import QualitySpeechToTextSettings, SpeechToTextSettings
from schemas.settings.telemetry_settings import TelemetrySettings

_HALF_A_SECOND = bytes(16_000)


def _item(made: str | Transcript) -> dict[str, Any]:
    return {"delta": made} if isinstance(made, str) else asdict(made)


class SpeechToTextReplica(Observed):
    """A speech-to-text engine of either mode, in one process. Ready means: it has transcribed once."""

    async def __init__(  # type: ignore[misc]
        self,
        settings: SpeechToTextSettings | QualitySpeechToTextSettings,
        cache: Path,
        telemetry: TelemetrySettings = SILENT,
    ) -> None:
        near = isinstance(settings, SpeechToTextSettings)
        self.telemetry = Telemetry(telemetry, "SpeechToText" if near else "QualitySpeechToText")
        if isinstance(settings, SpeechToTextSettings):
            self._speech_to_text: LocalSpeechToText = build_speech_to_text(settings, cache)
        else:
            self._speech_to_text = build_quality_speech_to_text(settings, cache)
        async for _ in self._speech_to_text.transcribe(Utterance(_HALF_A_SECOND, language="en")):
            pass

    @streaming(span_names.REPLICA_TRANSCRIBE, _item)
    def transcribe(self, utterance: dict[str, Any]) -> Stream[str | Transcript]:
        """{"delta"} items, then the transcript as {"text", ...}."""
        return self._speech_to_text.transcribe(Utterance(**utterance))

    async def check_health(self) -> None:
        """Called by Serve, which replaces the replica where this raises EngineDead."""
        self._speech_to_text.check()

    async def ready(self) -> bool:
        return True


class RemoteSpeechToText:
    """Satisfies SpeechToText over a Serve handle."""

    def __init__(self, handle: DeploymentHandle[Any], providers: tuple[str, ...] = ()) -> None:
        self._transcribe = handle.options(method_name="transcribe", stream=True, _by_reference=False)
        self._health = handle.options(method_name="check_health", _by_reference=False)
        self._providers = providers

    @property
    def providers(self) -> tuple[str, ...]:
        return self._providers

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`."""
        async with aclosing(
            items_of(self._transcribe.remote(asdict(utterance), **{CONTEXT: inject()}))
        ) as items:
            async for item in items:
                yield cast(str, item["delta"]) if "delta" in item else _transcript(item)

    async def check(self) -> None:
        """Raises EngineError if no replica answers, or one says that its engine is dead or has stopped."""
        await healthy(self._health.remote(), "no speech-to-text replica answers")

    async def aclose(self) -> None:
        """Nothing to close: the handle belongs to Serve."""


def _transcript(item: Item) -> Transcript:
    return Transcript(**{**item, "words": tuple(WrittenWord(**word) for word in item["words"])})
