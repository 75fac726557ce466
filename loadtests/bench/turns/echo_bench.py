"""How often an answer from a loudspeaker holds itself, how soon a word over it does, and what is heard."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr

from loadtests.bench.turns.echo_room import EchoRoom, as_pcm, holds_ms
from loadtests.bench.turns.living_room import Sound, at_level
from loadtests.bench.voice.spoken_samples import spoken
from loadtests.client.recorded_speech import RATE
from loadtests.report.tables import commit, machine, markdown, percentile, when
from pipeline.engines.ports import Utterance
from pipeline.engines.registry import build_speech_to_text, build_text_to_speech
from pipeline.stt.echo import PER_MS
from pipeline.stt.endpointing import Began, Ended, Endpointer
from pipeline.stt.evaluation.word_error_rate import spoken_words
from pipeline.stt.utterance_transcriber import write_down
from schemas.settings import AppSettings
from schemas.settings.listening_settings import EndpointingSettings

_WORDS: Final = (
    "Stop.", "Wait.", "No.", "Hold on.", "Stop it.", "Wait a moment.", "What do you mean?",
    "Can you repeat that?",
)  # fmt: skip
_ANSWERS: Final = (
    "The sea is deep and cold, and it covers most of the earth. Ships have crossed it for thousands of "
    "years, carrying grain, wood and people from one coast to another.",
    "A library is a quiet place with many books. People come here to read, to learn and to think about what "
    "they have read. Some of them stay for hours, because the chairs are soft.",
)
_DELAYS_MS: Final = (0, 60, 150, 300)
_ROOMS_S: Final = (0.3, 0.45, 0.6)
_USER_DB: Final = 50.0
_BEFORE_MS: Final = 1_000
"""Silence before the answer: a microphone is there before it."""
_EARLIEST_MS, _LATEST_MS = 4_000, 7_000
_WITHIN_MS: Final = 600
_TAIL_MS: Final = 200
_ONSET: Final = 0.15
_COLUMNS: Final = (
    "echo below the user", "runs", "runs in which the echo held the answer",
    f"word noticed within {_WITHIN_MS} ms",
    "p50 / p95", "transcript right", "with a word of the answer", "right from the microphone as it is",
    "right without an echo",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Run:
    """Of one word over one answer."""

    false_holds: int
    noticed_ms: int | None
    heard: str
    raw: str
    alone: str
    word: str
    answer: str

    def is_right(self, text: str) -> bool:
        return spoken_words(text) == spoken_words(self.word)

    @property
    def mixed(self) -> bool:
        others = set(spoken_words(self.answer)) - set(spoken_words(self.word))
        return bool(others & set(spoken_words(self.heard)))


def main() -> int:
    """Print the table; exit status 1 where fewer than nine of ten runs are as they should be at 0 dB."""
    parser = argparse.ArgumentParser(prog="python -m loadtests bench-echo", description=__doc__)
    parser.add_argument("--runs", type=int, default=48, help="for each level (default: %(default)s)")
    parser.add_argument(
        "--db", type=float, nargs="+", default=[-6, 0, 6, 12], help="the echo is so much softer than the user"
    )
    options = parser.parse_args()
    by_level = asyncio.run(_by_level(options.db, options.runs))
    rows = [[f"{level:g} dB", *_row(runs)] for level, runs in by_level.items()]
    print(f"{when()}, {machine()}, commit {commit()}\n\n{markdown(list(_COLUMNS), rows)}")
    for level, runs in by_level.items():
        wrong = [f"{each.word} {each.heard!r}" for each in runs if not each.is_right(each.heard)]
        print(f"\nnot right at {level:g} dB: {', '.join(wrong)}")
    equal = by_level.get(0.0, [])
    good = [sum(not each.false_holds for each in equal), sum(each.noticed_ms is not None for each in equal)]
    return int(min(good) < 0.9 * len(equal))


def _row(runs: Sequence[_Run]) -> list[str]:
    noticed = [float(each.noticed_ms) for each in runs if each.noticed_ms is not None]
    times = f"{percentile(noticed, 0.5):.0f} / {percentile(noticed, 0.95):.0f} ms" if noticed else "-"
    counts = (
        len(noticed),
        sum(each.is_right(each.heard) for each in runs),
        sum(each.mixed for each in runs),
        sum(each.is_right(each.raw) for each in runs),
        sum(each.is_right(each.alone) for each in runs),
    )
    shares = [f"{100 * count / len(runs):.0f} %" for count in counts]
    return [str(len(runs)), str(sum(each.false_holds > 0 for each in runs)), shares[0], times, *shares[1:]]


async def _by_level(levels: Sequence[float], count: int) -> dict[float, list[_Run]]:
    settings = AppSettings()
    sounds = await _sounds(settings)
    stt = build_speech_to_text(settings.speech_to_text, settings.cache)

    async def text(sound: Sound) -> str:
        return (await write_down(stt, Utterance(as_pcm(sound), "en"))).text if len(sound) else ""

    found: dict[float, list[_Run]] = {}
    for level in levels:
        found[level] = []
        for number in range(count):
            word, answer = _WORDS[number % len(_WORDS)], _ANSWERS[number // len(_WORDS) % len(_ANSWERS)]
            room, user_ms = _room(sounds[word], sounds[answer], level, number)
            probabilities, left = room.without_echo()
            holds = holds_ms(probabilities)
            noticed = [at_ms - user_ms for at_ms in holds if 0 <= at_ms - user_ms <= _WITHIN_MS]
            start_ms, end_ms = _utterance_ms(probabilities, user_ms)
            span = slice(start_ms * PER_MS, end_ms * PER_MS)
            found[level].append(
                _Run(
                    false_holds=sum(at_ms < user_ms for at_ms in holds),
                    noticed_ms=noticed[0] if noticed else None,
                    heard=await text(left[span]),
                    raw=await text(room.heard[span]),
                    alone=await text((room.heard - room.echo)[span]),
                    word=word,
                    answer=answer,
                )
            )
    await stt.aclose()
    return found


def _room(word: Sound, answer: Sound, below_db: float, number: int) -> tuple[EchoRoom, int]:
    """One of the rooms and delays, and where the word begins to be audible."""
    dice = np.random.default_rng(number)
    user = at_level(word[int(np.argmax(np.abs(word) > _ONSET * np.abs(word).max())) :], _USER_DB)
    user_ms = int(dice.integers(_EARLIEST_MS, _LATEST_MS))
    room = EchoRoom.of(
        np.concatenate([np.zeros(_BEFORE_MS * PER_MS, np.float32), answer]),
        user,
        user_ms=user_ms,
        echo_db=_USER_DB - below_db,
        delay_ms=int(dice.choice(_DELAYS_MS)),
        echo_s=float(dice.choice(_ROOMS_S)),
        seed=number,
    )
    return room, user_ms


def _utterance_ms(probabilities: Sequence[float], user_ms: int) -> tuple[int, int]:
    """The utterance that is heard in the first second of the word, from its padding on; (0, 0): none is."""
    settings = EndpointingSettings()
    endpointer, start_ms = Endpointer(settings), 0
    for probability in probabilities:
        for event in endpointer.push(probability):
            if isinstance(event, Began):
                start_ms = max(0, event.at_ms - settings.prefix_padding_ms)
            if isinstance(event, Ended) and event.end_ms > user_ms and event.start_ms < user_ms + 1_000:
                return start_ms, event.end_ms + _TAIL_MS
    return (start_ms, endpointer.at_ms) if endpointer.speaking else (0, 0)


async def _sounds(settings: AppSettings) -> Mapping[str, Sound]:
    voice = build_text_to_speech(settings.text_to_speech, settings.cache)
    sounds = {}
    for text in (*_WORDS, *_ANSWERS):
        samples, _ = await spoken(voice, text)
        sounds[text] = soxr.resample(samples.astype(np.float32), voice.sample_rate, RATE)
    await voice.aclose()
    return sounds
