"""A recording is listened to: from a file on disk to events, as fast as it can be written down."""

import asyncio
import json
import logging
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Final

import anyio.to_thread

from pipeline.audio.sound_files import RATE, SoundHeader
from pipeline.audio.sound_process import REFUSED
from pipeline.core.child_processes import bare_environment, ended
from pipeline.stt.inputs.audio_inputs import AudioInputs
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import GatewayBusy, InputCancelled, InputTooLong, NotSound, RhapsodeError
from schemas.ids import SessionId
from schemas.native.client_commands import OpenInput
from schemas.settings.listening_settings import Mode

_PIECE: Final = RATE * 2
"""Bytes that are given at a time: a second."""
_CHILD: Final = "pipeline.audio.sound_process"
_REASON: Final = 4_096
_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM)
_RETRY_S: Final = 5.0

log = logging.getLogger(__name__)


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

    def __init__(self, header: SoundHeader, first: bytes, pieces: "_Pieces", longest_s: float) -> None:
        self._header = header
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
            session, params, source="file", name=name, origin=self._header, refused=refused
        )
        try:
            await self._give(handle)
            await handle.close("end")
        except (InputTooLong, NotSound, GatewayBusy) as error:
            await handle.close("failed", error)
            raise
        except BaseException:
            audio_inputs.abandon(handle, InputCancelled("the sender of the recording has left"))
            raise
        if refusals:
            raise refusals[0]
        ms = self._pieces.bytes * 1_000 // (2 * RATE)
        return Uploaded(handle.name, ms, self._header.format, handle.audio_input.settings.mode)

    async def _give(self, handle: OpenInputHandle) -> None:
        piece = self._first
        while piece:
            if self._pieces.bytes > self._longest_s * 2 * RATE:
                raise _too_long(self._longest_s)
            await handle.push_audio(piece)
            piece = await self._pieces.next()


@asynccontextmanager
async def recording_in(file: IO[bytes], *, longest_s: float) -> AsyncGenerator[UploadedSound, None]:
    """`file` is one of the system's. It is decoded by a process, which ends with the block.

    Raises NotSound, InputTooLong, or GatewayBusy, where that can be told from the file's beginning.
    """
    descriptor = await anyio.to_thread.run_sync(file.fileno)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _CHILD), stdin=descriptor, stdout=PIPE, stderr=PIPE, env=bare_environment()
    )
    try:
        pieces = _Pieces(child)
        header = await pieces.header()
        if header.total_ms is not None and header.total_ms > longest_s * 1_000:
            raise _too_long(longest_s)
        yield UploadedSound(header, await pieces.next(), pieces, longest_s)
    finally:
        await ended(child)


def file_with(sound: bytes) -> IO[bytes]:
    """A file for `recording_in`. Blocking."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    file.write(sound)
    file.seek(0)
    return file


class _Pieces:
    """Sound that the process makes of the file, about a second at a time."""

    def __init__(self, child: Process) -> None:
        assert child.stdout is not None
        assert child.stderr is not None
        self._child, self._sound, self._reason = child, child.stdout, child.stderr
        self.bytes = 0

    async def header(self) -> SoundHeader:
        """Raises NotSound or GatewayBusy."""
        line = await self._sound.readline()
        if not line:
            await self._end()
        return SoundHeader(**json.loads(line))

    async def next(self) -> bytes:
        """Empty at the end. Raises NotSound or GatewayBusy."""
        try:
            piece = await self._sound.readexactly(_PIECE)
        except asyncio.IncompleteReadError as rest:
            piece = rest.partial
        if not piece:
            await self._end()
        self.bytes += len(piece)
        return piece

    async def _end(self) -> None:
        reason, status = await self._reason.read(_REASON), await self._child.wait()
        if status == REFUSED:
            raise NotSound(reason.decode(), field="body")
        if -status in _FROM_OUTSIDE:
            raise GatewayBusy("the decoding of the recording was ended; try again", retry_after_s=_RETRY_S)
        if status:
            log.info("a process that decoded a recording ended with status %s", status)
            raise NotSound("decoding this recording takes more time or memory than sound needs", field="body")


def _too_long(longest_s: float) -> InputTooLong:
    return InputTooLong(f"the recording is longer than {longest_s:g} seconds", field="body")
