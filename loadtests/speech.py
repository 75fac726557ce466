"""Real people's speech with what they say (Debian's pocketsphinx-testdata), and where it begins and ends."""

import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FOLDER: Final = Path("/usr/share/pocketsphinx/test/data")
RATE: Final = 16_000
PER_MS: Final = 2 * RATE // 1_000
"""Bytes in a millisecond."""
_WINDOW_MS: Final = 10
_WINDOW: Final = RATE * _WINDOW_MS // 1_000
_ABOVE_ROOM: Final = 10 ** (10 / 20)


@dataclass(frozen=True)
class Clip:
    """Speech as PCM16, mono, 16 kHz."""

    name: str
    pcm: bytes
    text: str

    @property
    def ms(self) -> float:
        return len(self.pcm) / PER_MS

    @cached_property
    def bounds_ms(self) -> tuple[float, float]:
        """Where speech begins and ends: the first and last 30 ms that are 10 dB louder than the room.

        The room is the quietest twentieth of the recording. No voice activity detector is asked, since it is
        to be measured.
        """
        samples = np.frombuffer(self.pcm, "<i2").astype(np.float64)
        windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
        loudness = np.sqrt((windows**2).mean(axis=1)) + 1
        loud = loudness > np.percentile(loudness, 5) * _ABOVE_ROOM
        together: NDArray[np.intp] = np.flatnonzero(loud[:-2] & loud[1:-1] & loud[2:])
        return float(together[0]) * _WINDOW_MS, float(together[-1] + 3) * _WINDOW_MS


def available() -> bool:
    return FOLDER.is_dir()


def librivox() -> list[Clip]:
    """Five sentences of one reader, 3 to 7 s long."""
    return transcribed(FOLDER / "librivox" / "transcription")


def cards() -> list[Clip]:
    """Five short commands about playing cards, some with words broken off."""
    return transcribed(FOLDER / "cards" / "cards.transcription")


def command() -> Clip:
    """A man tells a robot to go forward ten meters."""
    return Clip("goforward", (FOLDER / "goforward.raw").read_bytes(), "go forward ten meters")


def transcribed(file: Path) -> list[Clip]:
    """The clips beside a file of lines like "<s> what is said </s> (name)"."""
    lines = file.read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line) for line in lines]
    return [_read(file.parent / f"{match[2]}.wav", match[1].strip()) for match in found if match]


def endless(clips: Sequence[Clip], seconds: float) -> bytes:
    """The clips one after the other, again and again."""
    once = b"".join(clip.pcm for clip in clips)
    wanted = round(seconds * 1_000) * PER_MS
    return (once * (wanted // len(once) + 1))[:wanted]


def _read(path: Path, text: str) -> Clip:
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path.name} is not 16-bit mono at {RATE} Hz")
        return Clip(path.stem, sound.readframes(sound.getnframes()), text)
