"""The ear of the native face: sound comes in by binary frames, between commands that open and close it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from fastapi import WebSocketDisconnect
from pydantic import BaseModel

from deployments import problems
from deployments.services import Services
from pipeline.hearing.handles import OpenInputHandle
from schemas.errors import BodyTooLarge, NoInput, RhapsodeError
from schemas.ids import SessionId
from schemas.wire import (
    Accepted,
    ClientInputClear,
    ClientInputClose,
    ClientInputCommit,
    ClientInputOpen,
    InputAck,
    InputReady,
)

Send = Callable[[BaseModel], Awaitable[None]]
InputCommand = ClientInputOpen | ClientInputCommit | ClientInputClear | ClientInputClose
_FRAME_BYTES = 1_000_000
"""A frame holds some milliseconds of sound, or a second; not ten."""


class Microphone:
    """Of one connection: at most one input is open at a time."""

    def __init__(self, services: Services, session: SessionId, send: Send) -> None:
        self._services = services
        self._session = session
        self._send = send
        self._handle: OpenInputHandle | None = None

    async def hear(self, frame: bytes) -> None:
        """A binary frame. Raises NoInput, NotSound, BodyTooLarge, or what ended the input."""
        if len(frame) > _FRAME_BYTES:
            raise BodyTooLarge(f"a frame of sound holds at most {_FRAME_BYTES} bytes", field="audio")
        await self._open_one().hear(frame)

    async def obey(self, command: InputCommand, ref: str | None) -> BaseModel:
        """The answer to a command about the input."""
        if isinstance(command, ClientInputOpen):
            return await self._open(command, ref)
        handle = self._open_one()
        if isinstance(command, ClientInputCommit):
            await handle.commit()
        elif isinstance(command, ClientInputClear):
            await handle.clear()
        else:
            try:
                await handle.close()
            finally:
                self._forget(handle)
        _, head = await self._services.sessions.view(self._session)
        return Accepted(seq=head.seq, ref=ref)

    async def _open(self, wish: ClientInputOpen, ref: str | None) -> BaseModel:
        await self._close_before(wish)
        handle = await self._services.intakes.open(
            self._session, wish, self._acknowledge(wish), refused=self._refused
        )
        self._handle = handle
        return InputReady(input=handle.name, from_ms=handle.from_ms, ref=ref)

    async def _close_before(self, wish: ClientInputOpen) -> None:
        """Another input of this connection is closed; the same one is about to be opened anew."""
        before = self._handle
        if before is None or before.name == wish.input:
            return
        try:
            await before.close()
        except RhapsodeError as error:
            await self._send(problems.error_frame(error, "input"))
        finally:
            self._forget(before)

    def _forget(self, handle: OpenInputHandle) -> None:
        """One that is not over yet goes on being closed beside us."""
        self._handle = None
        if not handle.done.is_set():
            self._services.intakes.leave(handle, may_return=False)

    def _acknowledge(self, wish: ClientInputOpen) -> Callable[[int], Awaitable[None]]:
        async def tell(ms: int) -> None:
            handle = self._handle
            if handle is None or (wish.input is not None and handle.name != wish.input):
                return
            with suppress(WebSocketDisconnect, TimeoutError):
                await self._send(InputAck(input=handle.name, ms=ms))

        return tell

    async def _refused(self, error: RhapsodeError) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._send(problems.error_frame(error, "input"))

    def _open_one(self) -> OpenInputHandle:
        if self._handle is None:
            raise NoInput('sound and commands about it follow {"type": "input.open"}', field="type")
        return self._handle

    def leave(self) -> None:
        """The connection is gone: its client may come back with what it has not sent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._services.intakes.leave(handle)
