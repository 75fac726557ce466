"""A transcription server of ours on a loopback port: OpenAI's interface, and misbehaviour on request."""

import asyncio
import hashlib
import io
import wave
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import UploadFile

from schemas.settings.listening_settings import TranscriptionProviderSettings
from tests.support.eventually import eventually
from tests.support.servers.fake_server import FakeServer, event, open_server

Wire = Literal["openai", "vllm", "json"]


@dataclass
class FakeTranscriptionServer(FakeServer):
    """Writes speech down. `requests` has the form of each, without its file."""

    wire: Wire = "openai"
    """What it sends to those who ask for a stream; the others get JSON."""
    texts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the sound -> what it hears; other sound is "something else"."""
    deltas: int | None = None
    """After so many the connection is cut, or nothing more comes if `stalls`."""
    raw: str | None = None
    """Sent as it is, in place of the answer."""

    def settings(self, **changes: Any) -> TranscriptionProviderSettings:
        return TranscriptionProviderSettings.model_validate({"url": self.url, "timeout_s": 5} | changes)

    async def answer(self, request: Request) -> Response:
        async with request.form() as form:
            self.requests.append({name: value for name, value in form.multi_items() if name != "file"})
            sound = form["file"]
            assert isinstance(sound, UploadFile)
            text = self._heard(await sound.read())
        if refused := self.refused(request):
            return refused
        await eventually(lambda: not self.silent)
        if self.requests[-1].get("stream") == "true" and self.wire != "json":
            return StreamingResponse(self._events(text), media_type="text/event-stream")
        if self.raw is not None:
            return Response(self.raw, media_type="application/json")
        return JSONResponse(self._document(text, self.requests[-1]))

    def _heard(self, wav: bytes) -> str:
        with wave.open(io.BytesIO(wav)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
            pcm = sound.readframes(sound.getnframes())
        return self.texts.get(hashlib.sha256(pcm).hexdigest(), "something else")

    def _document(self, text: str, form: dict[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = {"text": text}
        if form["response_format"] == "verbose_json":
            assert form["timestamp_granularities[]"] == "word"
            words = enumerate(text.split())
            document["words"] = [{"word": w, "start": n / 10, "end": n / 10 + 0.1} for n, w in words]
            document["language"] = "english"
        return document

    async def _events(self, text: str) -> AsyncGenerator[bytes, None]:
        ended = False
        try:
            if self.raw is not None:
                yield self.raw.encode()
                return
            for number, word in enumerate(text.split()):
                if number == self.deltas:
                    await eventually(lambda: not self.stalls)
                    raise ConnectionAbortedError("cut, as told")
                yield self._delta(f" {word}" if number else word)
                await asyncio.sleep(0)
            if self.wire == "openai":
                yield event(type="transcript.text.done", text=text, usage={"type": "tokens"})
            else:
                yield b"data: [DONE]\n\n"
            ended = True
        finally:
            self.hung_up += not ended

    def _delta(self, text: str) -> bytes:
        if self.wire == "openai":
            return event(type="transcript.text.delta", delta=text)
        return event(object="transcription.chunk", choices=[{"index": 0, "delta": {"content": text}}])


@contextmanager
def fake_transcription_server() -> Iterator[FakeTranscriptionServer]:
    """Serve until the block ends."""
    remote, app = FakeTranscriptionServer(), FastAPI()
    app.post("/v1/audio/transcriptions")(remote.answer)
    with open_server(remote, app, "the transcription server"):
        yield remote
