"""A chat server of ours on a loopback port: OpenAI's interface, and misbehaviour on request."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from schemas.settings.provider_settings import ChatProviderSettings
from tests.support.eventually import eventually
from tests.support.servers.fake_server import FakeServer, event, open_server

ANSWER = "The fox is red."
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


@dataclass
class FakeChatServer(FakeServer):
    """Writes answers."""

    answer: str = ANSWER
    wire: Literal["events", "json"] = "events"
    finish: str = "stop"
    model: str = "fox-1-2026"
    """The name that it gives itself."""
    chatter: tuple[bytes, int] = (b"", 0)
    """What is sent before the first delta, every few milliseconds, and how often."""
    deltas: int | None = None
    """After so many the connection is cut, or nothing more comes if `stalls`."""
    raw: list[bytes] | None = None
    """Sent as it is, piece by piece, in place of the answer."""
    raw_type: str = "text/event-stream; charset=utf-8"
    writing: int = 0
    """Answers under way."""
    callers: set[Any] = field(default_factory=set)
    """The connections that requests came by."""
    life: int = 0
    """Requests from before it was told to forget are not counted any more."""

    def forget(self) -> None:
        """Behave again, and remember nothing."""
        life = self.life + 1
        super().forget()
        self.life = life

    def given(self, **changes: Any) -> dict[str, Any]:
        """Settings of this server as a provider."""
        return {"url": self.url, "model": "fox-1", "timeout_s": 30, "attempts": 1} | changes

    def settings(self, **changes: Any) -> ChatProviderSettings:
        return ChatProviderSettings.model_validate(self.given(**changes))

    async def respond(self, request: Request) -> Response:
        life = self.life
        self.requests.append(await request.json())
        self.callers.add(request.client)
        if refused := self.refused(request):
            return refused
        await eventually(lambda: not self.silent)
        if self.raw is not None:
            return StreamingResponse(self._counted(self._raw(self.raw), life), media_type=self.raw_type)
        if self.wire == "json":
            return JSONResponse(self._document())
        return StreamingResponse(self._counted(self._events(), life), media_type="text/event-stream")

    def _document(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.answer}
        choices = [{"index": 0, "message": message, "finish_reason": self.finish}]
        return {"object": "chat.completion", "model": self.model, "choices": choices, "usage": USAGE}

    async def _counted(self, parts: AsyncGenerator[bytes, None], life: int) -> AsyncGenerator[bytes, None]:
        self.writing += life == self.life
        ended = False
        try:
            async for part in parts:
                yield part
                await asyncio.sleep(0)
            ended = True
        finally:
            if life == self.life:
                self.writing -= 1
                self.hung_up += not ended
            await parts.aclose()

    async def _raw(self, pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    async def _events(self) -> AsyncGenerator[bytes, None]:
        yield self._chunk({"role": "assistant", "content": ""})
        while self.chatter[1] > 0:
            self.chatter = (self.chatter[0], self.chatter[1] - 1)
            yield self.chatter[0]
            await asyncio.sleep(0.005)
        for number, word in enumerate(self.answer.split()):
            if number == self.deltas:
                await eventually(lambda: not self.stalls)
                raise ConnectionAbortedError("cut, as told")
            yield self._chunk({"content": f" {word}" if number else word})
        yield self._chunk({}, self.finish)
        yield event(model=self.model, choices=[], usage=USAGE)
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event(object="chat.completion.chunk", model=self.model, choices=[choice], usage=None)


@contextmanager
def fake_chat_server() -> Iterator[FakeChatServer]:
    """Serve until the block ends."""
    remote, app = FakeChatServer(), FastAPI()
    app.post("/v1/chat/completions")(remote.respond)
    with open_server(remote, app, "the chat server"):
        yield remote
