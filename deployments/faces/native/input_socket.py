"""The ear of the native face: sound comes in by binary frames, between commands that open and close it."""

import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio
from fastapi import WebSocketDisconnect
from pydantic import BaseModel

from deployments.container import GatewayContainer
from deployments.web import problem_details
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import BodyTooLarge, NoInput, RhapsodeError
from schemas.ids import SessionId
from schemas.native.native_messages import (
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
_PENDING = 16
"""Commands that wait for what follows from them; when there are more, the client waits to be heard."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An answer that is given when `done` returns."""

    done: Callable[[], Awaitable[None]]
    ref: str | None
    asked: bool = True
    """False: only what goes wrong is told."""


class NativeAudioInput:
    """Of one connection: at most one input is open at a time."""

    def __init__(self, services: GatewayContainer, session: SessionId, send: Send) -> None:
        self._services = services
        self._session = session
        self._send = send
        self._handle: OpenInputHandle | None = None
        self._ending: list[OpenInputHandle] = []
        """Closed by the client, and not all written down."""
        self._pending, self._waiting = anyio.create_memory_object_stream[_Pending](_PENDING)

    async def push_audio(self, frame: bytes) -> None:
        """A binary frame. Raises NoInput, NotSound, BodyTooLarge, or what ended the input."""
        if len(frame) > _FRAME_BYTES:
            raise BodyTooLarge(f"a frame of sound holds at most {_FRAME_BYTES} bytes", field="audio")
        await self._open_one().push_audio(frame)

    async def execute(self, command: InputCommand, ref: str | None) -> BaseModel | None:
        """The answer to a command about the input; None: `answer` gives it when the log has what follows."""
        if isinstance(command, ClientInputOpen):
            return await self._open(command, ref)
        handle = self._open_one()
        if isinstance(command, ClientInputClose):
            await self._end(handle, _Pending(handle.close, ref))
        else:
            queued = await handle.queue_command(
                "commit" if isinstance(command, ClientInputCommit) else "clear"
            )
            await self._pending.send(_Pending(lambda: handle.executed(queued), ref))
        return None

    async def answer(self) -> None:
        """Give the answers that take their time, in order, beside everything else."""
        async with self._waiting:
            async for pending in self._waiting:
                try:
                    await pending.done()
                    _, head = await self._services.sessions.view(self._session)
                except RhapsodeError as error:
                    await self._send(problem_details.error_frame(error, pending.ref))
                else:
                    if pending.asked:
                        await self._send(Accepted(seq=head.seq, ref=pending.ref))

    async def _open(self, params: ClientInputOpen, ref: str | None) -> BaseModel:
        params = params.model_copy(update={"input": params.input or str(uuid.uuid4())})
        await self._make_room(params)
        handle = await self._services.audio_inputs.open(
            self._session, params, self._acknowledge(params), refused=self._refused
        )
        self._handle = handle
        return InputReady(input=handle.name, from_ms=handle.from_ms, ref=ref)

    async def _make_room(self, params: ClientInputOpen) -> None:
        """Another input of this connection is closed; the same one is about to be opened anew."""
        before = self._handle
        if before is not None and before.name != params.input:
            await self._end(before, _Pending(before.close, "input", asked=False))
        for ending in self._ending:
            if ending.name == params.input:
                await ending.done.wait()

    async def _end(self, handle: OpenInputHandle, pending: _Pending) -> None:
        """Ends this input: later frames are not for it, and its transcription goes on in the background."""
        self._handle = None
        self._ending = [*(before for before in self._ending if not before.done.is_set()), handle]
        await self._pending.send(pending)

    def _acknowledge(self, params: ClientInputOpen) -> Callable[[int], Awaitable[None]]:
        async def tell(ms: int) -> None:
            handle = self._handle
            if handle is None or handle.name != params.input:
                return
            with suppress(WebSocketDisconnect, TimeoutError):
                await self._send(InputAck(input=handle.name, ms=ms))

        return tell

    async def _refused(self, error: RhapsodeError) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await self._send(problem_details.error_frame(error, "input"))

    def _open_one(self) -> OpenInputHandle:
        if self._handle is None:
            raise NoInput('sound and commands about it follow {"type": "input.open"}', field="type")
        return self._handle

    def leave(self) -> None:
        """The connection is gone: its client may come back with what it has not sent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._services.audio_inputs.leave(handle)
        for ending in self._ending:
            if not ending.done.is_set():
                self._services.audio_inputs.leave(ending, may_return=False)
