"""A speech server of ours on a loopback port: speaks both interfaces, and misbehaves on request."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from pipeline.audio.audio_formats import Mp3Encoder, wav_header
from pipeline.engines.ports import WordTimes
from pipeline.engines.scripted import ScriptedTextToSpeech
from schemas.settings import TextToSpeechSettings
from schemas.settings.provider_settings import SpeechProviderSettings
from tests.support.eventually import eventually
from tests.support.servers.fake_server import FakeServer, event, open_server

Wire = Literal["pcm", "wav", "mp3", "sse"]
VOICES = ("joe", "alto")
_MIME: dict[Wire, str] = {
    "pcm": "audio/pcm",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "sse": "text/event-stream",
}


@dataclass
class FakeSpeechServer(FakeServer):
    """Speaks."""

    wire: Wire | None = None
    """None: what the request asks for."""
    answers: int | None = None
    """So many requests are answered; the others wait until there may be more."""
    chunks: int | None = None
    """After so many the connection is cut, or nothing more comes if `stalls`."""
    chunk_ms: int = 120
    sound: bytes | None = None
    """What is heard of every text, 16-bit PCM at 24 kHz."""
    paths: list[str] = field(default_factory=list)
    speaking: int = 0
    """Sentences under way."""

    def given(self, **changes: Any) -> dict[str, Any]:
        """Settings of this server as a provider of speech."""
        return {"kind": "openai", "url": self.url, "default_voice": "alto", "attempts": 1} | changes

    def settings(self, **changes: Any) -> SpeechProviderSettings:
        """As a provider whose one voice is joe."""
        joe = {"default_voice": "joe", "voices": ["joe"], "timeout_s": 5}
        return SpeechProviderSettings.model_validate(self.given(**joe | changes))

    async def answer(self, request: Request, text: str, wire: Wire, voice: str, speed: float) -> Response:
        self.paths.append(request.url.path)
        self.requests.append(await request.json())
        if refused := self.refused(request):
            return refused
        number = len(self.requests)
        await eventually(lambda: not self.silent and (self.answers is None or number <= self.answers))
        wire = self.wire or wire
        return StreamingResponse(self._sound(text, wire, voice, speed), media_type=_MIME[wire])

    async def _sound(self, text: str, wire: Wire, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        self.speaking += 1
        ended = False
        try:
            async with aclosing(self._wired(text, wire, voice, speed)) as parts:
                async for part in parts:
                    yield part
            ended = True
        finally:
            self.speaking -= 1
            self.hung_up += not ended

    async def _wired(self, text: str, wire: Wire, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        mp3 = Mp3Encoder()
        if wire == "wav":
            yield wav_header(None)
        if wire == "sse":
            yield event(type="speech.audio.info", sample_rate=24_000, channels=1, bits_per_sample=16)
        async with aclosing(self._chunks(text, voice, speed)) as chunks:
            async for pcm in chunks:
                if wire == "sse":
                    yield event(type="speech.audio.delta", audio=base64.b64encode(pcm).decode())
                else:
                    yield mp3.encode(pcm) if wire == "mp3" else pcm
        if wire == "sse":
            yield event(type="speech.audio.done", usage={"total_tokens": 7})
        if wire == "mp3":
            yield mp3.finish()

    async def _chunks(self, text: str, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        engine = ScriptedTextToSpeech(TextToSpeechSettings())
        number = 0
        async with aclosing(engine.synthesize(text, voice=voice, speed=speed)) as items:
            if self.sound is not None:
                yield self.sound
                return
            async for item in items:
                if isinstance(item, WordTimes):
                    continue
                for piece in _pieces(item, 48 * self.chunk_ms):
                    if number == self.chunks:
                        await eventually(lambda: not self.stalls)
                        raise ConnectionAbortedError("cut, as told")
                    number += 1
                    yield piece
                    await asyncio.sleep(0.002)


def _pieces(pcm: bytes, size: int) -> Iterator[bytes]:
    return (pcm[at : at + size] for at in range(0, len(pcm), size))


def _app(remote: FakeSpeechServer) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/audio/speech")
    async def speech(request: Request) -> Response:
        body = await request.json()
        wire: Wire = "sse" if body.get("stream_format") == "sse" else body["response_format"]
        return await remote.answer(request, body["input"], wire, body["voice"], body["speed"])

    @app.post("/tts")
    async def tts(request: Request) -> Response:
        body = await request.json()
        assert body["stream"] is True
        voice = body["predefined_voice_id"].removesuffix(".wav")
        return await remote.answer(request, body["text"], "wav", voice, body["speed_factor"])

    @app.get("/v1/audio/voices")
    async def voices() -> Any:
        return {"voices": [VOICES[0], {"name": VOICES[1], "language": "en"}]}

    return app


@contextmanager
def fake_speech_server() -> Iterator[FakeSpeechServer]:
    """Serve until the block ends."""
    remote = FakeSpeechServer()
    with open_server(remote, _app(remote), "the speech server"):
        yield remote
