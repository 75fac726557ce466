"""An open input, as whoever has its sound sees it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

import anyio

from pipeline.audio.input_formats import Incoming
from pipeline.stt.inputs.audio_input import AudioInput, Command, QueuedCommand
from schemas.errors import LogUnavailable, NoInput, RhapsodeError
from schemas.errors.access_errors import LimitReached

PIECE: Final = 32_000
"""Bytes of sound that are listened to in one go: a second."""

CloseReason = Literal["client", "end", "cut", "failed"]

_STEP_MS: Final = 10_000
"""Sound is paid for in so large pieces."""
_PER_MS: Final = 32
"""Bytes of 16-bit mono PCM at 16 kHz."""


class HeardAllowance:
    """Rest of a principal's allowance that an input may still be given."""

    def __init__(self, take: Callable[[int], Awaitable[None]], paid_ms: int) -> None:
        """`take` is asked for so many ms more, and raises LimitReached. `paid_ms` were taken before."""
        self._take = take
        self._left = paid_ms * _PER_MS

    async def spend(self, count: int) -> None:
        """So many bytes of PCM. Raises LimitReached."""
        self._left -= count
        while self._left < 0:
            with suppress(LogUnavailable):  # the meter is away: a microphone outlives that
                await self._take(_STEP_MS)
            self._left += _STEP_MS * _PER_MS


class OpenInputHandle:
    """One open input. One caller at a time."""

    def __init__(
        self,
        audio_input: AudioInput,
        incoming: Incoming,
        from_ms: int,
        allowed: HeardAllowance | None = None,
        *,
        principal: str = "",
    ) -> None:
        """`allowed`: how much may be given; None: any amount."""
        self.name = audio_input.opening.input
        self.principal = principal
        self.from_ms = from_ms
        """The sound that is given first."""
        self.audio_input = audio_input
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.error: RhapsodeError | None = None
        """Why it is over, if not because it was closed."""
        self.reason: CloseReason | None = None
        """Why it was closed, if it was."""
        self._incoming = incoming
        self._allowed = allowed

    async def push_audio(self, sound: bytes) -> None:
        """In the format that was declared. Raises NotSound, or what ended the input.

        Raises HeardLimit where the allowance is used up: what was given before is written down.
        """
        if self.reason is not None:
            raise _closed()
        for pcm in self._incoming.parts(sound):
            if self._allowed is not None:
                await self._spend(self._allowed, len(pcm))
            await self.give(pcm)

    async def _spend(self, allowed: HeardAllowance, count: int) -> None:
        try:
            await allowed.spend(count)
        except LimitReached as error:
            self.reason, self.audio_input.failure = "failed", error
            with suppress(NoInput):
                await self.queue_command("close")
            raise

    async def give(self, pcm: bytes) -> None:
        """As it is listened to: 16-bit mono at 16 kHz."""
        for start in range(0, len(pcm), PIECE):
            try:
                await self.audio_input.push_audio(pcm[start : start + PIECE])
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise await self._why() from None

    async def commit(self) -> None:
        """The utterance ends here; that is in the log."""
        await self.executed(await self.queue_command("commit"))

    async def queue_command(self, command: Command) -> QueuedCommand:
        """Begin to: it has its place behind the sound that came before it."""
        try:
            return await self.audio_input.command(command)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise await self._why() from None

    async def executed(self, queued: QueuedCommand) -> None:
        """Return when what follows from it is in the log. Raises what came between."""
        async with anyio.create_task_group() as either:

            async def ended() -> None:
                await self.done.wait()
                queued.over.set()

            either.start_soon(ended)
            await queued.over.wait()
            either.cancel_scope.cancel()
        if not queued.executed:
            raise await self._why()

    async def close(self, reason: CloseReason = "client", error: RhapsodeError | None = None) -> None:
        """Return when all that was said is written down. Raises what went wrong with that.

        `error`: why nothing more can be heard, for the reason "failed"; then nothing is asked any more.
        """
        first = self.reason is None
        if first:
            self.reason = reason
            self.audio_input.asks, self.audio_input.failure = error is None, error
        with suppress(NoInput):
            if first:
                await self.give(self._incoming.flush())
            await self.queue_command("close")
        await self.done.wait()
        if self.error is not None:
            raise self.error

    async def abandon(self, error: RhapsodeError) -> None:
        """Return when it is over: what waits is not listened to any more, and nothing is asked."""
        self.reason, self.audio_input.failure = "failed", error
        self.audio_input.asks, self.audio_input.abandoned = False, True
        with suppress(NoInput):
            await self.queue_command("close")
        await self.done.wait()

    async def _why(self) -> RhapsodeError:
        await self.done.wait()
        return self.error or _closed()


def _closed() -> NoInput:
    return NoInput("this input is closed; open it again", field="type")
