"""Hesitant speech: recordings and the packaged voice, cut and joined with pauses whose places are known."""

import json
import random
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from loadtests.bench.voice.spoken_samples import spoken
from loadtests.client.recorded_speech import RATE, available, cards, command, librivox
from pipeline.engines.ports import LocalTextToSpeech

Samples = NDArray[np.int16]
_SCRIPTS: Final = json.loads(Path(__file__).with_name("turn_scripts.json").read_text("utf-8"))
"""Parts of each turn, with a pause after each but the last: texts that the packaged voice reads, Asterisk's
prompts, which are the same in each language, and recordings of pocketsphinx-testdata."""
PROMPT_FOLDER: Final = Path("/usr/share/asterisk/sounds")
LANGUAGES: Final = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June"}
_SHARES: Final = (0.0, 0.444, 0.783, 0.9, 0.95, 1.0)
_LENGTHS_MS: Final = (200, 300, 600, 1_000, 1_600, 3_000)
"""So many of the pauses are shorter than this: what silence alone cuts off in eot-bench's English turns."""
_END_MS: Final = 3_000
_WINDOW: Final = RATE // 100
_INNER_WINDOWS: Final = 20
"""A silence inside a recording is a pause from 200 ms on."""
_EDGE: Final = RATE // 50
_AROUND_MS: Final = 30
"""A word may end so much before or after the time that the voice tells."""
_NOISE: Final = 12.0
"""Room tone in pauses, as the standard deviation of 16-bit samples: about -69 dB of full scale."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A silence of a turn; the last one is the turn's end."""

    at_ms: int
    """Where the speech before it ends."""
    ms: int
    final: bool


@dataclass(frozen=True, slots=True)
class HesitantTurn:
    """A turn with its pauses, as PCM16 at 16 kHz."""

    name: str
    language: str
    source: str
    pcm: bytes
    pauses: tuple[Pause, ...]

    def until(self, ms: int) -> bytes:
        """The sound before `ms`."""
        return self.pcm[: 2 * RATE * ms // 1_000]


@dataclass(frozen=True, slots=True)
class _Parts:
    name: str
    language: str
    source: str
    parts: tuple[Samples, ...]


async def hesitant_turns(
    voice: LocalTextToSpeech, prompts: Path = PROMPT_FOLDER, seed: int = 1
) -> list[HesitantTurn]:
    """Every turn for which there is sound on this machine."""
    said = [each async for each in _read(voice)]
    said += [*_recorded(), *_prompted(prompts)]
    lengths = _pause_lengths(sum(len(each.parts) - 1 for each in said), seed)
    noise = np.random.default_rng(seed)
    return [_joined(each, lengths, noise) for each in said]


async def _read(voice: LocalTextToSpeech) -> AsyncIterator[_Parts]:
    """A turn is read as one sentence and cut between words, so that its melody is that of a sentence."""
    for category, turns in _SCRIPTS["own voice"].items():
        for number, texts in enumerate(turns):
            parts = await _read_in_parts(voice, texts)
            yield _cut(f"{category} {number}", "en", "packaged voice", parts)


async def _read_in_parts(voice: LocalTextToSpeech, texts: list[str]) -> list[Samples]:
    samples, words = await spoken(voice, " ".join(texts))
    sound = soxr.resample(samples, voice.sample_rate, RATE).astype(np.int16)
    places, at = [], 0
    for text in texts[:-1]:
        at += len(text) + 1
        before = max(word.end_ms for word in words.words if word.start < at)
        after = min(word.start_ms for word in words.words if word.start >= at)
        places.append(_quietest(sound, min(before, after) - _AROUND_MS, max(before, after) + _AROUND_MS))
    return np.split(sound, places)


def _quietest(sound: Samples, from_ms: int, to_ms: int) -> int:
    """The middle of the quietest 10 ms between two places."""
    first = from_ms * RATE // 1_000
    windows = sound[first : to_ms * RATE // 1_000].astype(np.float64)
    loudness = (windows[: len(windows) // _WINDOW * _WINDOW].reshape(-1, _WINDOW) ** 2).mean(axis=1)
    return first + int(loudness.argmin()) * _WINDOW + _WINDOW // 2


def _recorded() -> Iterator[_Parts]:
    if not available():
        return
    clips = {clip.name: np.frombuffer(clip.pcm, "<i2") for clip in (*librivox(), *cards(), command())}
    for names in _SCRIPTS["recorded"]:
        yield _cut(names[0][-4:], "en", "readers", [clips[name] for name in names])


def _prompted(folder: Path) -> Iterator[_Parts]:
    for language, speaker in LANGUAGES.items():
        if not (folder / speaker).is_dir():
            continue
        for category, turns in _SCRIPTS["prompts"].items():
            for number, parts in enumerate(turns):
                sound = [prompt(folder / speaker, names.split()) for names in parts]
                yield _cut(f"{category} {number}", language, "prompts", sound)


def prompt(folder: Path, names: Iterable[str]) -> Samples:
    """Files of Asterisk's sounds joined, each without the silence around it."""
    return np.concatenate([_trimmed(_g722(folder / f"{name}.g722")) for name in names])


def _g722(path: Path) -> Samples:
    with av.open(str(path), format="g722") as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])


def _cut(name: str, language: str, source: str, parts: Iterable[Samples]) -> _Parts:
    """Parts that have a pause of their own are cut there."""
    pieces = tuple(piece for part in parts for piece in _pieces(part))
    return _Parts(name, language, source, pieces)


def _loud(samples: Samples) -> NDArray[np.bool_]:
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).astype(np.float64)
    loudness = np.sqrt((windows**2).mean(axis=1))
    loud: NDArray[np.bool_] = loudness > max(60.0, 0.02 * float(np.percentile(loudness, 95)))
    return loud


def _pieces(samples: Samples) -> list[Samples]:
    loud = np.flatnonzero(_loud(samples))
    ends = np.flatnonzero(np.diff(loud) > _INNER_WINDOWS)
    starts = [loud[0], *(loud[end + 1] for end in ends)]
    stops = [*(loud[end] + 1 for end in ends), loud[-1] + 1]
    return [
        samples[max(0, start * _WINDOW - _EDGE) : stop * _WINDOW + _EDGE]
        for start, stop in zip(starts, stops, strict=True)
    ]


def _trimmed(samples: Samples) -> Samples:
    loud = np.flatnonzero(_loud(samples))
    return samples[max(0, loud[0] * _WINDOW - _EDGE) : (loud[-1] + 1) * _WINDOW + _EDGE]


def _pause_lengths(count: int, seed: int) -> Iterator[int]:
    """`count` lengths in ms, spread over the distribution evenly and in a fixed random order."""
    shares = [(number + 0.5) / count for number in range(count)]
    random.Random(seed).shuffle(shares)
    return iter([int(np.exp(np.interp(share, _SHARES, np.log(_LENGTHS_MS)))) for share in shares])


def _joined(said: _Parts, lengths: Iterator[int], noise: np.random.Generator) -> HesitantTurn:
    sound: list[Samples] = []
    pauses: list[Pause] = []
    at = 0
    for number, part in enumerate(said.parts):
        final = number == len(said.parts) - 1
        ms = _END_MS if final else next(lengths)
        at += len(part)
        # A part ends with 20 ms of its own room tone.
        pauses.append(Pause((at - _EDGE) * 1_000 // RATE, ms, final))
        silence = noise.normal(0.0, _NOISE, max(0, ms * RATE // 1_000 - 2 * _EDGE)).astype(np.int16)
        sound += [part, silence]
        at += len(silence)
    return HesitantTurn(said.name, said.language, said.source, np.concatenate(sound).tobytes(), tuple(pauses))
