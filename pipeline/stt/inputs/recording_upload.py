"""A recording is listened to: from a file on disk to events, as fast as it can be written down."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Final

import anyio
import anyio.to_thread

from pipeline.audio.sound_files import RATE, SoundFile
from pipeline.stt.inputs.audio_inputs import AudioInputs
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import InputCancelled, InputTooLong, NotSound, RhapsodeError
from schemas.ids import SessionId
from schemas.native.client_commands import OpenInput
from schemas.settings.listening_settings import Mode

_PIECE: Final = RATE * 2
"""Bytes that are decoded before somebody else may have the loop: a second."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Result of a transcribed recording."""

    input: str
    ms: int
    format: str
    mode: Mode
    """How it was wished to be written down."""


class UploadedSound:
    """A file that holds sound, of which the first has been read."""

    def __init__(self, sound: SoundFile, first: bytes, pieces: "_Pieces", longest_s: float) -> None:
        self._sound = sound
        self._first = first
        self._pieces = pieces
        self._longest_s = longest_s

    async def listen(
        self, audio_inputs: AudioInputs, session: SessionId, *, name: str = "", reference: str = ""
    ) -> Uploaded:
        """Return when all of it is written down.

        Raises NotSound, InputTooLong and the errors of `AudioInputs.open`. The beginning of a recording that
        is too long has been written down, and nothing is asked. Raises StateError for a recording that is
        written down and could not be asked. Cancelling this call means that nothing is asked.
        """
        params = OpenInput(format="pcm16", rate=RATE, reference=reference)
        refusals: list[RhapsodeError] = []

        async def refused(error: RhapsodeError) -> None:
            refusals.append(error)

        handle = await audio_inputs.open(
            session, params, source="file", name=name, origin=self._sound, refused=refused
        )
        try:
            await self._give(handle)
            await handle.close("end")
        except (InputTooLong, NotSound) as error:
            await handle.close("failed", error)
            raise
        except BaseException:
            audio_inputs.abandon(handle, InputCancelled("the sender of the recording has left"))
            raise
        if refusals:
            raise refusals[0]
        ms = self._pieces.bytes * 1_000 // (2 * RATE)
        return Uploaded(handle.name, ms, self._sound.format, handle.audio_input.settings.mode)

    async def _give(self, handle: OpenInputHandle) -> None:
        piece = self._first
        while piece:
            if self._pieces.bytes > self._longest_s * 2 * RATE:
                raise _too_long(self._longest_s)
            await handle.push_audio(piece)
            piece = await self._pieces.next()


@asynccontextmanager
async def recording_in(
    file: IO[bytes], decoders: anyio.CapacityLimiter, *, longest_s: float
) -> AsyncGenerator[UploadedSound, None]:
    """Raises NotSound or InputTooLong, where that can be told from the file's beginning."""
    sound = await anyio.to_thread.run_sync(SoundFile, file, limiter=decoders)
    with sound:
        if sound.total_ms is not None and sound.total_ms > longest_s * 1_000:
            raise _too_long(longest_s)
        pieces = _Pieces(sound.pieces(), decoders)
        yield UploadedSound(sound, await pieces.next(), pieces, longest_s)


class _Pieces:
    """Decoded off the loop, about a second at a time."""

    def __init__(self, pieces: Iterator[bytes], decoders: anyio.CapacityLimiter) -> None:
        self._pieces = pieces
        self._decoders = decoders
        self.bytes = 0

    async def next(self) -> bytes:
        """Empty at the end."""
        piece = await anyio.to_thread.run_sync(self._take, limiter=self._decoders)
        self.bytes += len(piece)
        return piece

    def _take(self) -> bytes:
        taken = bytearray()
        for piece in self._pieces:
            taken += piece
            if len(taken) >= _PIECE:
                break
        return bytes(taken)


def _too_long(longest_s: float) -> InputTooLong:
    return InputTooLong(f"the recording is longer than {longest_s:g} seconds", field="body")
