"""How near the packaged voice comes to a speed that is wished, and how long it pauses inside a sentence."""

import argparse
import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Final

import numpy as np

from loadtests.bench.voice.spoken_samples import spoken
from loadtests.report.tables import commit, machine, markdown, when
from pipeline.engines.ports import LocalTextToSpeech
from pipeline.engines.registry import build_text_to_speech
from schemas.settings import AppSettings

SENTENCES: Final = (
    "When the night had come, the old keeper of the lighthouse climbed the narrow stairs, as he had done for "
    "forty years, and lit the lamp.",
    "The train to the mountains leaves at nine in the morning, stops in every village on its way, and comes "
    "back late in the evening.",
    "She had been reading the same book since the winter began because nobody in the whole house had told "
    "her how the story would end.",
)
"""Of 23 to 25 words; the last one has no comma."""
SPEEDS: Final = (0.5, 0.6, 0.75, 0.9, 1.1, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
_WITHIN: Final = 0.03
_PAUSE_MS: Final = 350
_FRAME_MS: Final = 20
_QUIET: Final = 184
"""Root mean square of 16-bit samples: -45 dB of full scale."""
_ASKING: Final = (",", ";", ":", ".", "!", "?")


@dataclass(frozen=True, slots=True)
class _Spoken:
    """One sentence, in ms."""

    sound: float
    words: float
    """From the first word's begin to the last one's end."""
    at_marks: int
    """Longest pause after a word with a mark."""
    elsewhere: int
    after: int
    """Silence at the end."""


def main() -> int:
    """Print the table; exit status 1 where a speed or a pause is not as wanted."""
    parser = argparse.ArgumentParser(prog="python -m loadtests bench-speed", description=__doc__)
    parser.add_argument(
        "--times", type=int, default=5, help="each sentence at each speed (default: %(default)s)"
    )
    options = parser.parse_args()
    spoken = asyncio.run(_all(options.times))
    ratios = {speed: _ratios(spoken, speed) for speed in SPEEDS}
    print(f"{when()}, {machine()}, commit {commit()}\n")
    print(markdown(_COLUMNS, [_row(speed, spoken[speed], ratios.get(speed)) for speed in spoken]))
    furthest = max(abs(1 - ratio) for pair in ratios.values() for ratio in (*pair[0], *pair[1]))
    longest = max(each.elsewhere for speed in spoken for said in spoken[speed] for each in said)
    print(
        f"furthest from the wished speed: {100 * furthest:.1f} % (wanted at most {100 * _WITHIN:.0f} %); "
        f"longest pause that no mark asks for: {longest} ms (wanted at most {_PAUSE_MS} ms)"
    )
    return int(furthest > _WITHIN or longest > _PAUSE_MS)


_COLUMNS: Final = ["speed", "sound", "words", "longest pause at a mark", "elsewhere", "silence at the end"]
_All = dict[float, list[list[_Spoken]]]
"""By speed and sentence."""


async def _all(times: int) -> _All:
    settings = AppSettings()
    voice = build_text_to_speech(settings.text_to_speech, settings.cache)
    spoken = {
        speed: [[await _say(voice, text, speed) for _ in range(times)] for text in SENTENCES]
        for speed in sorted((1.0, *SPEEDS))
    }
    await voice.aclose()
    return spoken


async def _say(voice: LocalTextToSpeech, text: str, speed: float) -> _Spoken:
    spoken_samples, times = await spoken(voice, text, speed)
    samples = spoken_samples.astype(np.float64)
    frame = voice.sample_rate * _FRAME_MS // 1_000
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _QUIET)
    marks = [word.end_ms for word in times.words if text[word.start : word.end].endswith(_ASKING)]
    pauses: dict[bool, list[int]] = {True: [0], False: [0]}
    for before, after in pairwise(loud):
        begin, end = (before + 1) * _FRAME_MS, after * _FRAME_MS
        # A word's end is told to within some frames of the voice.
        asked = any(begin - 5 * _FRAME_MS <= mark <= end + _FRAME_MS for mark in marks)
        pauses[asked].append(int(end - begin))
    return _Spoken(
        sound=1_000 * len(samples) / voice.sample_rate,
        words=times.words[-1].end_ms - times.words[0].start_ms,
        at_marks=max(pauses[True]),
        elsewhere=max(pauses[False]),
        after=int(len(frames) - loud[-1] - 1) * _FRAME_MS,
    )


def _ratios(spoken: _All, speed: float) -> tuple[list[float], list[float]]:
    """How much longer each sentence is than the speed says, its sound and its words; 1.0 is as wished."""
    pairs = list(zip(spoken[1.0], spoken[speed], strict=True))
    return (
        [speed * mean(one.sound for one in said) / mean(one.sound for one in usual) for usual, said in pairs],
        [speed * mean(one.words for one in said) / mean(one.words for one in usual) for usual, said in pairs],
    )


def _row(
    speed: float, said: list[list[_Spoken]], ratios: tuple[list[float], list[float]] | None
) -> list[str]:
    every = [each for sentence in said for each in sentence]
    shown = [_span(of) for of in ratios] if ratios else ["", ""]
    after = [each.after for each in every]
    return [
        f"{speed:g}",
        *shown,
        f"{max(each.at_marks for each in every)} ms",
        f"{max(each.elsewhere for each in every)} ms",
        f"{min(after)} to {max(after)} ms",
    ]


def _span(values: Iterable[float]) -> str:
    found = sorted(values)
    return f"{found[0]:.3f} to {found[-1]:.3f}"
