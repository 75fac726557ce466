"""Real people's speech, with what they say: from Debian's pocketsphinx-testdata."""

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import pytest
from num2words import num2words

_FOLDER = Path("/usr/share/pocketsphinx/test/data")
needs_clips = pytest.mark.skipif(not _FOLDER.is_dir(), reason="needs Debian's pocketsphinx-testdata")
_SHORT = {"mr": "mister"}


@dataclass(frozen=True)
class Clip:
    name: str
    pcm: bytes
    text: str

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 32_000


def librivox() -> list[Clip]:
    """Five sentences of one reader, 3 to 7 s long."""
    return [_spoken(path, text) for path, text in _transcribed("librivox", "transcription")]


def cards() -> list[Clip]:
    """Five short commands about playing cards."""
    return [_spoken(path, text) for path, text in _transcribed("cards", "cards.transcription")]


def command() -> Clip:
    """A man tells a robot to go forward ten meters."""
    return Clip("goforward", (_FOLDER / "goforward.raw").read_bytes(), "go forward ten meters")


def joined(clips: list[Clip]) -> Clip:
    return Clip("joined", b"".join(clip.pcm for clip in clips), " ".join(clip.text for clip in clips))


def noisy(clip: Clip, decibels: float) -> Clip:
    """With white noise, so many decibels below the speech; always the same."""
    sound = np.frombuffer(clip.pcm, "<i2").astype(float)
    noise = np.random.default_rng(len(sound)).normal(0.0, 1.0, len(sound))
    loudness = np.sqrt((sound**2).mean() / 10 ** (decibels / 10))
    mixed = (sound + noise * loudness).clip(-32_768, 32_767).astype("<i2")
    return Clip(f"{clip.name} {decibels:g} dB", mixed.tobytes(), clip.text)


def plain(text: str) -> str:
    """As it is spoken: small letters, numbers as words, nothing between the words but spaces."""
    text = re.sub(r"\d+", lambda number: f" {num2words(int(number[0]))} ", text.lower())
    words = re.sub(r"[^a-z' ]+", " ", text).split()
    return " ".join(_SHORT.get(word, word) for word in words)


def word_errors(texts: list[tuple[str, str]]) -> float:
    """Of (reference, hypothesis) pairs, all together."""
    return float(jiwer.wer([plain(said) for said, _ in texts], [plain(heard) for _, heard in texts]))


def _transcribed(folder: str, file: str) -> list[tuple[Path, str]]:
    lines = (_FOLDER / folder / file).read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)?\s*\((\S+)\)\s*", line) for line in lines]
    return [(_FOLDER / folder / f"{match[2]}.wav", match[1].strip()) for match in found if match]


def _spoken(path: Path, text: str) -> Clip:
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        return Clip(path.stem, sound.readframes(sound.getnframes()), text)
