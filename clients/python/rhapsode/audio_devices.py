"""Sound out of this machine's speakers and in by its microphone, with the programs that it has."""

import shutil
import subprocess
import tempfile
import wave
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio.abc import Process

RATE: Final = 24_000
"""Audio format that the protocol sends as pcm16: mono, 16 bits, little-endian."""

_FROM_PIPE: Final[Mapping[str, Sequence[str]]] = {
    "pacat": (
        "--playback",
        "--raw",
        "--format=s16le",
        f"--rate={RATE}",
        "--channels=1",
        "--latency-msec=100",
    ),
    "paplay": ("--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"),
    "aplay": ("-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"),
    "ffplay": ("-loglevel", "quiet", "-nodisp", "-autoexit", "-f", "s16le", "-ar", str(RATE), "-i", "-"),
}
_RECORDERS: Final[Mapping[str, Sequence[str]]] = {
    "parec": ("--raw", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=20"),
    "arecord": ("-q", "-t", "raw", "-f", "S16_LE", "-r", "16000", "-c", "1"),
    "ffmpeg": (
        "-loglevel",
        "quiet",
        "-f",
        "alsa",
        "-i",
        "default",
        "-f",
        "s16le",
        "-ar",
        "16000",
        "-ac",
        "1",
        "-",
    ),
}
_FROM_FILE: Final[Mapping[str, Sequence[str]]] = {"pw-play": (), "afplay": ()}


class Player(Protocol):
    """Takes PCM as it comes; gives up silently when the sound system does."""

    @property
    def name(self) -> str: ...
    async def play(self, pcm: bytes) -> None: ...


def find() -> str | None:
    """The name of a player that is installed."""
    return next((name for name in (*_FROM_PIPE, *_FROM_FILE) if shutil.which(name)), None)


@asynccontextmanager
async def opened(name: str) -> AsyncGenerator[Player, None]:
    """A player for the length of the block; leaving it waits until everything was heard."""
    if name in _FROM_PIPE:
        command = [name, *_FROM_PIPE[name]]
        process = await anyio.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with process:
            player = _Piped(name, process)
            yield player
            await player.finish()
        return
    collected = _Collected(name)
    yield collected
    await collected.finish()


class _Piped:
    """Hears each chunk as soon as it is there; a full pipe makes the caller wait."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process
        self._broken = False

    async def play(self, pcm: bytes) -> None:
        if self._broken or self._process.stdin is None:
            return
        try:
            await self._process.stdin.send(pcm)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._broken = True

    async def finish(self) -> None:
        if self._process.stdin is not None:
            await self._process.stdin.aclose()
        await self._process.wait()


class _Collected:
    """For players that only take files: everything is heard at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._pcm = bytearray()

    async def play(self, pcm: bytes) -> None:
        self._pcm += pcm

    async def finish(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "rhapsode.wav")
            with wave.open(str(file), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(RATE)
                out.writeframes(self._pcm)
            await anyio.run_process([self.name, *_FROM_FILE[self.name], str(file)], check=False)


async def microphone() -> AsyncGenerator[bytes, None]:
    """PCM of the default microphone as it comes: 16 kHz, mono, 16 bits little-endian.

    Raises FileNotFoundError where no program records.
    """
    name = next((name for name in _RECORDERS if shutil.which(name)), None)
    if name is None:
        raise FileNotFoundError(f"No program records here; install one of {', '.join(_RECORDERS)}.")
    process = await anyio.open_process(
        [name, *_RECORDERS[name]], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    async with process:
        try:
            assert process.stdout is not None
            async for pcm in process.stdout:
                yield pcm
        finally:
            process.terminate()
