"""What is heard goes into the log as sound, piece by piece, and its sender is told."""

from collections.abc import Awaitable, Callable

from pipeline.audio.capture import Capture, CapturedPiece
from pipeline.eventlog.recorder import SessionWriter
from pipeline.stt.serial_task_queue import SerialTaskQueue
from schemas.events.voice_events import InputAudio

Acknowledge = Callable[[int], Awaitable[None]]


class SoundKeeper:
    """Of one input. What is pushed lies in the log some time after, and `tell` hears up to where."""

    def __init__(
        self, name: str, writer: SessionWriter, outbox: SerialTaskQueue, tell: Acknowledge, *, at_ms: int
    ) -> None:
        self._input = name
        self._writer = writer
        self._outbox = outbox
        self._tell = tell
        self._capture = Capture(at_ms=at_ms)

    def begin(self, at_ms: int) -> None:
        """What is pushed next is not what follows."""
        self._capture = Capture(at_ms=at_ms)

    async def push(self, pcm: bytes) -> None:
        await self._put(self._capture.push(pcm))

    async def flush(self) -> None:
        """What was pushed is all, until it begins anew."""
        await self._put(self._capture.flush())

    async def _put(self, pieces: list[CapturedPiece]) -> None:
        for piece in pieces:
            event = InputAudio(
                input=self._input,
                at_ms=piece.at_ms,
                ms=piece.ms,
                bytes=len(piece.packets),
                sha256=piece.sha256,
            )

            async def keep(event: InputAudio = event, packets: bytes = piece.packets) -> None:
                await self._writer.commit(event, audio=packets)
                await self._tell(event.at_ms + event.ms)

            await self._outbox.put(keep)
