"""Recorded speech with its words (Debian's pocketsphinx-testdata), and where it begins and ends."""

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
        """Begin and end of the speech: the first and last 30 ms that are 10 dB louder than the room.

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


def read(name: str) -> bytes:
    """The sound of a file of the package, such as "librivox/….wav" or "goforward.raw", as PCM16."""
    path = FOLDER / name
    if path.suffix == ".raw":
        return path.read_bytes()
    return _pcm_of(path)


def _pcm_of(path: Path) -> bytes:
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path} is not 16-bit mono at {RATE} Hz")
        return bytes(sound.readframes(sound.getnframes()))


def librivox() -> list[Clip]:
    """Five sentences of one reader, 3 to 7 s long."""
    return _transcribed("librivox", "transcription")


def cards() -> list[Clip]:
    """Five short commands about playing cards, some with words broken off."""
    return _transcribed("cards", "cards.transcription")


def command() -> Clip:
    """A man tells a robot to go forward ten meters."""
    return Clip("goforward", read("goforward.raw"), "go forward ten meters")


def _transcribed(folder: str, file: str) -> list[Clip]:
    """The clips beside a file of lines like "<s> what is said </s> (name)"."""
    lines = (FOLDER / folder / file).read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line) for line in lines]
    return [Clip(match[2], read(f"{folder}/{match[2]}.wav"), match[1].strip()) for match in found if match]


def endless(clips: Sequence[Clip], seconds: float) -> bytes:
    """The clips one after the other, again and again."""
    once = b"".join(clip.pcm for clip in clips)
    wanted = round(seconds * 1_000) * PER_MS
    return (once * (wanted // len(once) + 1))[:wanted]


def recordings(folder: Path | None) -> tuple[Clip, ...]:
    """Empty: nothing was said about a folder, and Debian's package is not installed. Raises ValueError."""
    if folder is None:
        return (*librivox(), command()) if available() else ()
    clips = tuple(_clip(path) for path in sorted(folder.glob("*.wav")))
    if not clips:
        raise ValueError(f"{folder} has no *.wav")
    return clips


def _clip(path: Path) -> Clip:
    try:
        clip = Clip(path.stem, _pcm_of(path), "")
    except (wave.Error, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not clip.ms:
        raise ValueError(f"{path} is empty")
    return clip
