"""The TextToSpeech deployment: a replica around one voice engine and encoder, and its client."""

import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ray.serve.handle import DeploymentHandle

from deployments.replicas.replica_stop import stop_watch
from deployments.rpc.replica_telemetry import SILENT, Observed, Telemetry, streaming
from deployments.rpc.result_stream_client import ResultStreamClient
from deployments.rpc.result_stream_server import ResultStreamServer
from deployments.rpc.serve_client import ReplicaCalls, healthy
from pipeline.engines.ports import (
    AS_CONFIGURED,
    EngineResult,
    OpusChunk,
    Providers,
    Speaker,
    SpokenBy,
    Stream,
    TimedWord,
    Voiced,
    WordTimes,
)
from pipeline.engines.registry import build_text_to_speech
from pipeline.engines.routed_speaker import open_speaker
from pipeline.observability import span_names as names
from pipeline.observability.trace_propagation import PropagatedContext, inject
from schemas.settings import TextToSpeechSettings
from schemas.settings.telemetry_settings import TelemetrySettings

_OLDER: Final = ("provider", "timeout_s", "extra")
"""Fields of a delivery that replicas of 0.2.0 know. They refuse others, which travel in `context`."""


def _item(made: Voiced) -> dict[str, Any]:
    if isinstance(made, SpokenBy):  # for gateways of 0.2.0 these are word times, of no word yet
        return {"voice": made.voice, "provider": made.provider, "ignored": list(made.ignored), "words": []}
    if isinstance(made, WordTimes):
        return {"words": [(w.start, w.end, w.start_ms, w.end_ms) for w in made.words]}
    return {"packets": made.packets, "ms": made.ms, "last": made.last}


class TextToSpeechReplica(Observed):
    """The voice in this server and the ways to others; audio is encoded here, once.

    Ready means: the voice in this server, if it has one, has spoken once.
    """

    async def __init__(  # type: ignore[misc]
        self, settings: TextToSpeechSettings, cache: Path, telemetry: TelemetrySettings = SILENT
    ) -> None:
        self.telemetry = Telemetry(telemetry, "TextToSpeech")
        self.results = ResultStreamClient(max(1, settings.streams // 2), stop_watch())
        engine = build_text_to_speech(settings, cache)
        self._engine = engine
        self._speaker: Speaker = await open_speaker(engine, settings)
        if settings.engine != "none":
            async for _ in self._speaker.speak("Hello there.", voice=self._speaker.voices[0]):
                pass

    async def voices(self) -> list[str]:
        return list(self._speaker.voices)

    async def providers(self) -> dict[str, dict[str, list[str]]]:
        """Returns the speech providers, the voices of each and their languages."""
        return {
            name: {voice: list(languages) for voice, languages in voices.items()}
            for name, voices in self._speaker.providers.items()
        }

    @streaming(names.REPLICA_SYNTHESIZE, _item)
    def speak(self, text: str, voice: str, speed: float, delivery: dict[str, Any]) -> Stream[Voiced]:
        """One {"voice", "provider", "ignored"}, at most one {"words"}, then {"packets", "ms", "last"}."""
        return self._speaker.speak(text, voice=voice, speed=speed, delivery=EngineResult(**delivery))

    def completed(self, arguments: tuple[Any, ...], context: PropagatedContext) -> tuple[Any, ...]:
        """The call with those fields of its delivery that travelled in `context`."""
        *call, delivery = arguments
        newer = json.loads(str(context.get("delivery", "{}")))
        for name in {"phonemes", "required"} & newer.keys():
            newer[name] = tuple(tuple(one) if name == "phonemes" else one for one in newer[name])
        return (*call, {**delivery, **newer})

    async def check_health(self) -> None:
        """Called by Serve, which replaces the replica where this raises EngineDead."""
        self._engine.check()


class RemoteSpeaker:
    """Satisfies Speaker over a Serve handle; the sound comes to `results`."""

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        results: ResultStreamServer | None,
        voices: tuple[str, ...],
        providers: Providers,
    ) -> None:
        self._speak = ReplicaCalls(
            handle.options(method_name="speak", stream=True, _by_reference=False), results
        )
        self._health = handle.options(method_name="check_health", _by_reference=False)
        self._voices = voices
        self._providers = providers

    @classmethod
    async def connect(
        cls, handle: DeploymentHandle[Any], results: ResultStreamServer | None = None
    ) -> "RemoteSpeaker":
        """Ask a replica for its voices; waits until there is one."""
        voices = await handle.options(method_name="voices", _by_reference=False).remote()
        providers = await handle.options(method_name="providers", _by_reference=False).remote()
        told = {
            name: {voice: tuple(languages) for voice, languages in names.items()}
            for name, names in providers.items()
        }
        return cls(handle, results, tuple(voices), told)

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    @property
    def providers(self) -> Providers:
        return self._providers

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[Voiced, None]:
        params = asdict(delivery)
        del params["waited_s"]  # whose patience it is, is this side's to know
        older = {name: params.pop(name) for name in _OLDER}
        newer = {"delivery": json.dumps(params)}
        async with self._speak.stream(text, voice, speed, older, context={**inject(), **newer}) as items:
            async for item in items:
                if "voice" in item:
                    yield SpokenBy(item["voice"], item["provider"], tuple(item["ignored"]))
                elif "words" in item:
                    yield WordTimes(tuple(TimedWord(*word) for word in item["words"]))
                else:
                    yield OpusChunk(item["packets"], item["ms"], item["last"])

    async def check(self) -> None:
        """Raises EngineError if no replica answers, or one says that its engine is dead or has stopped."""
        await healthy(self._health.remote(), "no text-to-speech replica answers")

    async def aclose(self) -> None:
        """Nothing to close: the handle belongs to Serve."""
