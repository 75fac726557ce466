"""A WebSocket of JSON messages: sent whole, with a deadline; refused with a reason; left without noise."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, Protocol, TypeVar

import anyio
import orjson
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import TypeAdapter, ValidationError

from deployments.web import problem_details
from deployments.web.body_limits import read_json
from deployments.web.resource_access import while_allowed
from deployments.web.ws_drain import deliver
from schemas.apps.story_messages import SocketCommand
from schemas.errors import InputError, RhapsodeError, first_error

log = logging.getLogger(__name__)

_MESSAGE_CHARS: Final = 4_096
_NORMAL: Final = 1000
_GOODBYES: Final = (_NORMAL, 1001)
"""Codes that a client closes with; a broken connection has another one, which depends on the server."""

Message = dict[str, Any]


class JsonSocket:
    """One accepted connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._socket = websocket
        self._sending = anyio.Lock()
        self._begun = anyio.Event()
        """The first message was sent: what a client says before is answered after it."""
        self.said_goodbye = False
        """The client closed the connection, rather than that it broke."""

    async def send(self, message: Message) -> None:
        """Raises WebSocketDisconnect if the client is gone, TimeoutError if it does not read."""
        text = orjson.dumps(message).decode()
        async with self._sending:
            await deliver(self._socket.send_text, text)
        self._begun.set()

    async def commands(self, spoken: "SpokenMessage[C]") -> None:
        """Obey the client's messages until it leaves; what is wrong with one is its answer."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self.said_goodbye = message.get("code") in _GOODBYES
                return
            await self._begun.wait()
            try:
                if spoken.push_audio is not None and message.get("bytes") is not None:
                    await spoken.push_audio(message["bytes"])
                    continue
                command = await spoken.parse(message.get("text"))
                if command.type == "ping":
                    await self.send({"type": "pong"})
                else:
                    await spoken.execute(command)
            except RhapsodeError as error:
                await self.send(error_message(error))

    async def close(self, code: int = _NORMAL) -> None:
        await deliver(self._socket.close, code)

    async def refuse(self, error: RhapsodeError) -> None:
        """Say why, then close."""
        with suppress(WebSocketDisconnect, TimeoutError):
            await self.send(error_message(error))
            await self.close(problem_details.close_code(error))


def error_message(error: RhapsodeError) -> Message:
    message = {"type": "error", "message": str(error), "code": error.code, "retryable": error.retryable}
    if (seconds := problem_details.retry_after_s(error)) is not None:
        message["retry_after_s"] = seconds
    return message if error.field is None else {**message, "field": error.field}


class Command(Protocol):
    """A client's message; "ping" is answered here."""

    @property
    def type(self) -> str: ...


C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True)
class SpokenMessage(Generic[C]):
    """Commands that a client of this socket may send, and the listener for them."""

    model: type[C]
    execute: Callable[[C], Awaitable[None]]
    push_audio: Callable[[bytes], Awaitable[None]] | None = None
    """Binary frames; None: there are none."""
    longest: int = _MESSAGE_CHARS

    async def parse(self, text: str | None) -> C:
        """Raises InputError or BodyTooLarge."""
        if text is None or len(text) > self.longest:
            raise InputError('commands are short JSON texts, such as {"type": "stop"}')
        try:
            adapter: TypeAdapter[C] = _adapter(self.model)
            return adapter.validate_python(await read_json(text))
        except orjson.JSONDecodeError as error:
            raise InputError("the message is not JSON") from error
        except ValidationError as error:
            _, message, field = problem_details.validation_problem(error.errors(include_context=False))
            raise InputError(message, field=field) from error


@cache
def _adapter(model: type[C]) -> TypeAdapter[C]:
    return TypeAdapter(model)


def conversing(
    websocket: WebSocket, execute: Callable[[SocketCommand], Awaitable[None]]
) -> AbstractAsyncContextManager[JsonSocket]:
    """`talking` with a client that sends the usual commands."""
    return talking(websocket, SpokenMessage(SocketCommand, execute))


@asynccontextmanager
async def talking(websocket: WebSocket, spoken: SpokenMessage[C]) -> AsyncGenerator[JsonSocket, None]:
    """Accept; obey commands beside the block; end both when either ends.

    A RhapsodeError in the block is told to the client; a client that leaves is nobody's error.
    """
    await websocket.accept()
    socket = JsonSocket(websocket)
    try:
        async with anyio.create_task_group() as both:

            async def receive() -> None:
                await socket.commands(spoken)
                both.cancel_scope.cancel()

            both.start_soon(receive)
            both.start_soon(while_allowed, websocket)
            yield socket
            both.cancel_scope.cancel()
    except* (WebSocketDisconnect, TimeoutError):
        log.debug("a client left")
    except* RhapsodeError as group:
        await socket.refuse(first_error(group))
