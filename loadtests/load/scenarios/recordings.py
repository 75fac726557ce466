"""Speech for callers: a folder of WAV files, or what Debian has."""

import wave
from pathlib import Path

from loadtests import speech
from loadtests.speech import RATE, Clip


def recordings(folder: Path | None) -> tuple[Clip, ...]:
    """Empty: nothing was said about a folder, and Debian's package is not installed. Raises ValueError."""
    if folder is None:
        return (*speech.librivox(), speech.command()) if speech.available() else ()
    clips = tuple(_clip(path) for path in sorted(folder.glob("*.wav")))
    if not clips:
        raise ValueError(f"{folder} has no *.wav")
    return clips


def _clip(path: Path) -> Clip:
    try:
        with wave.open(str(path)) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE, 1, 2):
                raise ValueError(f"{path} is not 16-bit mono at {RATE} Hz")
            clip = Clip(path.stem, sound.readframes(sound.getnframes()), "")
    except (wave.Error, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not clip.ms:
        raise ValueError(f"{path} is empty")
    return clip
