"""The caller's sound on its way into an audio input of the session."""

import heapq
import logging
from typing import Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.telephone.media_messages import G711, StreamMedia
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import RhapsodeError
from schemas.ids import SessionId
from schemas.native.client_commands import OpenInput

log = logging.getLogger(__name__)

_FRAMES: Final = 250
"""Frames of 20 ms that wait for a slow audio input; later ones are lost."""
_REORDERED: Final = 5
"""Frames that wait for an earlier one: the order of Telnyx's frames is not guaranteed."""
_AGAIN_S: Final = 5.0
"""How long a caller is not listened to after an audio input was refused."""


class FrameOrder:
    """Frames of a caller in the order of their numbers; a missing one is waited for five frames long."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: list[tuple[int, bytes]] = []

    def push(self, frame: StreamMedia) -> list[bytes]:
        """Sound that is in order now."""
        if frame.chunk is None:
            return [frame.payload]
        if self._next is not None and frame.chunk < self._next:
            return []
        heapq.heappush(self._waiting, (frame.chunk, frame.payload))
        found: list[bytes] = []
        while self._waiting and (
            self._next in (None, self._waiting[0][0]) or len(self._waiting) > _REORDERED
        ):
            number, payload = heapq.heappop(self._waiting)
            found.append(payload)
            self._next = number + 1
        return found


class PhoneInput:
    """Of one media stream. `push` takes frames, and `run` listens to them."""

    def __init__(self, services: GatewayContainer, session: SessionId, encoding: G711) -> None:
        self._inputs = services.audio_inputs
        self._clock = services.clock
        self._session = session
        self._params = OpenInput(format=encoding, rate=8_000)
        self._order = FrameOrder()
        self._arrive, self._arrived = anyio.create_memory_object_stream[bytes](_FRAMES)

    def push(self, frame: StreamMedia) -> None:
        """Returns at once; a frame for which there is no room is lost."""
        for payload in self._order.push(frame):
            try:
                self._arrive.send_nowait(payload)
            except anyio.WouldBlock:
                return

    async def run(self) -> None:
        """Until it is cancelled."""
        handle: OpenInputHandle | None = None
        deaf_until = 0.0
        try:
            async for sound in self._arrived:
                if self._clock.monotonic() < deaf_until:
                    continue
                try:
                    if handle is None or handle.done.is_set():
                        handle = await self._inputs.open(self._session, self._params, refused=_unanswered)
                    await handle.push_audio(sound)
                except RhapsodeError as error:
                    deaf_until = self._clock.monotonic() + _AGAIN_S
                    await _unanswered(error)
        finally:
            self._arrive.close()
            self._arrived.close()
            if handle is not None:
                self._inputs.leave(handle, may_return=False)


async def _unanswered(error: RhapsodeError) -> None:
    log.info("a caller's question is not answered: %s", error)
