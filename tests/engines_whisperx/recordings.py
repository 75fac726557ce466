"""Real people: LibriVox readers and somebody who names cards, from Debian's pocketsphinx-testdata."""

import re
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from pipeline.engines.base import Utterance

_FOLDER = Path("/usr/share/pocketsphinx/test/data")


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    pcm: bytes
    text: str

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 32_000

    def said(self, *, language: str | None = "en", words: bool = False) -> Utterance:
        return Utterance(self.pcm, language=language, words=words)


@cache
def librivox() -> tuple[Recording, ...]:
    """Five sentences of a novel, in order."""
    return _read("librivox", "transcription")


@cache
def cards() -> tuple[Recording, ...]:
    return _read("cards", "cards.transcription")


def plain(text: str) -> str:
    """Words only, as both the readers' text and Whisper's can be compared."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return " ".join(re.findall(r"[\w']+", text))


def _read(folder: str, transcription: str) -> tuple[Recording, ...]:
    if not (_FOLDER / folder / transcription).is_file():
        pytest.skip("pocketsphinx-testdata is not installed: see requirements/system.sh")
    recordings = []
    for line in (_FOLDER / folder / transcription).read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"(?:<s>)?(.*?)(?:</s>)? *\((\S+)\)", line.strip()):
            text, name = found.groups()
            with wave.open(str(_FOLDER / folder / f"{name}.wav")) as file:
                recordings.append(Recording(name, file.readframes(file.getnframes()), text.strip()))
    return tuple(recordings)
