"""Program of `test_open_calls`: a gateway calls a voice, as applications beside ours; writes what it saw."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.replicas.text_to_speech import RemoteSpeaker, TextToSpeechReplica
from deployments.rpc.result_stream_server import ResultStreamServer
from pipeline.engines.ports import OpusChunk
from schemas.errors import EngineError
from schemas.settings import TextToSpeechSettings

SENTENCE = "The fox saw the sea."
BESIDE: Any = {"ray_actor_options": {"num_cpus": 0}}
"""The processors are taken by the application that runs there."""


class CountedVoice(TextToSpeechReplica):
    """Knows how often it was called through Serve."""

    calls = 0

    async def speak(self, *arguments: Any, **context: Any) -> AsyncGenerator[Any, None]:
        self.calls += 1
        async with aclosing(super().speak(*arguments, **context)) as items:
            async for item in items:
                yield item

    async def counted(self) -> tuple[int, int]:
        """Calls so far, and those that Serve holds for ongoing."""
        [replica] = ray._private.worker.global_worker.actors.values()
        return self.calls, replica._replica_impl.get_num_ongoing_requests() - 1  # this one


class SpeakingGateway:
    async def speak(self, sentences: int) -> list[int]:
        """Milliseconds of sound of each, one after the other."""
        return [await self._sentence(await self._speaker_there()) for _ in range(sentences)]

    async def go_on(self) -> None:
        """Speak until `stop`."""
        self._on, self._sentences, self._errors = True, 0, list[str]()
        speaker = await self._speaker_there()
        while self._on:
            try:
                self._sentences += await self._sentence(speaker) > 0
            except EngineError as error:
                self._errors.append(repr(error))

    async def stop(self) -> tuple[int, list[str]]:
        """Sentences since `go_on`, and what failed."""
        self._on = False
        return self._sentences, self._errors

    async def _speaker_there(self) -> RemoteSpeaker:
        if not hasattr(self, "_speaker"):
            results = await ResultStreamServer(ray.util.get_node_ip_address()).__aenter__()
            self._speaker = await RemoteSpeaker.connect(
                serve.get_deployment_handle("Voice", "voice"), results
            )
        return self._speaker

    async def _sentence(self, speaker: RemoteSpeaker) -> int:
        return sum(
            [made.ms async for made in speaker.speak(SENTENCE, voice="joe") if isinstance(made, OpusChunk)]
        )


def deploy(folder: Path, version: str) -> DeploymentHandle[Any]:
    settings = TextToSpeechSettings(engine="scripted", script=folder / "script.json")
    voice = serve.deployment(name="Voice", graceful_shutdown_timeout_s=5, **BESIDE)(CountedVoice)
    return serve.run(voice.bind(settings, folder / version), name="voice", route_prefix=None)


def main(folder: Path) -> dict[str, Any]:
    (folder / "script.json").write_text(json.dumps({"per_chunk_ms": 20}))
    told: dict[str, Any] = {}
    voice = deploy(folder, "one")
    gateway = serve.run(
        serve.deployment(name="Gateway", **BESIDE)(SpeakingGateway).bind(), name="gateway", route_prefix=None
    )
    told["spoken_ms"] = gateway.speak.remote(8).result()
    told["then"] = voice.counted.remote().result()
    while voice.counted.remote().result()[1]:
        pass  # until the call that nobody needs has ended
    going_on = gateway.go_on.remote()
    deploy(folder, "two")
    while not voice.counted.remote().result()[0]:
        pass  # until the next one is asked
    told["sentences"], told["errors"] = gateway.stop.remote().result()
    going_on.result()
    return told


if __name__ == "__main__":
    place, address = Path(sys.argv[1]), sys.argv[2]
    ray.init(address=address, _node_ip_address="127.0.0.1", namespace="serve", log_to_driver=False)
    try:
        (place / "told.json").write_text(json.dumps(main(place)))
    finally:
        for application in ("voice", "gateway"):
            serve.delete(application)
        ray.shutdown()
