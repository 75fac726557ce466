"""How well sentences full of numbers and signs are understood once the packaged voice has read them."""

import argparse
import asyncio
import re
import time
from pathlib import Path
from typing import Final

import soxr

from loadtests.bench.voice.spoken_samples import seeded_voice, spoken
from loadtests.report.tables import commit, machine, markdown, when
from pipeline.engines.ports import LocalSpeechToText, LocalTextToSpeech, Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.stt.evaluation.word_error_rate import WordErrors, altogether, word_errors
from pipeline.stt.utterance_transcriber import write_down
from pipeline.tts.normalisation.spoken_text import to_spoken
from schemas.settings import AppSettings

ENGLISH: Final = Path(__file__).with_name("reading_sentences.txt").read_text("utf-8").splitlines()
_HEARD_HZ: Final = 16_000
_POINT_CLOCK: Final = re.compile(r"(?<![$€£\d.,])([0-9]{1,2})\.([0-5][0-9])(?!\d)")
"""How Whisper also writes a time, which is heard as one."""
_CPU_RUNS: Final = 50


def main() -> int:
    """Print the word error rate; exit status 1 where it is above --at-most."""
    parser = argparse.ArgumentParser(prog="python -m loadtests bench-reading", description=__doc__)
    parser.add_argument("--at-most", type=float, default=4.0, help="percent of words (default: %(default)s)")
    parser.add_argument("--plain", action="store_true", help="the voice gets the text as it is written")
    parser.add_argument(
        "--runs", type=int, default=1, help="each with another noise of the voice (default: %(default)s)"
    )
    options = parser.parse_args()
    runs = [asyncio.run(_read_all(seed, plain=options.plain)) for seed in range(1, options.runs + 1)]
    rows = [row for run in runs for row in run]
    errors = altogether(each for _, _, each in rows)
    percent = 100 * (errors.rate or 0.0)
    wrong = [[shown, heard, str(each.errors)] for shown, heard, each in rows if each.errors]
    print(f"{when()}, {machine()}, commit {commit()}\n")
    print(markdown(["written", "heard", "word errors"], wrong))
    print("errors by run: " + ", ".join(str(altogether(each for *_, each in run).errors) for run in runs))
    print(
        f"{len(rows)} sentences, {errors.words} words, {errors.errors} errors: {percent:.1f} % "
        f"(wanted at most {options.at_most:g} %); normalisation {_cpu_us():.0f} µs of CPU a sentence"
    )
    return int(percent > options.at_most)


async def _read_all(seed: int, *, plain: bool) -> list[tuple[str, str, WordErrors]]:
    settings = AppSettings()
    voice = seeded_voice(settings, seed)
    stt = build_speech_to_text(settings.speech_to_text, settings.cache)
    rows = []
    for shown in ENGLISH:
        spoken = to_spoken(shown).text
        heard = await _heard(voice, stt, shown if plain else spoken)
        written = heard if " point " in spoken else _POINT_CLOCK.sub(r"\1:\2", heard)
        rows.append((shown, heard, word_errors(_comparable(spoken), _comparable(to_spoken(written).text))))
    await voice.aclose()
    await stt.aclose()
    return rows


async def _heard(voice: LocalTextToSpeech, stt: LocalSpeechToText, text: str) -> str:
    samples, _ = await spoken(voice, text)
    sound = soxr.resample(samples, voice.sample_rate, _HEARD_HZ).astype("<i2").tobytes()
    return (await write_down(stt, Utterance(sound, "en"))).text


def _comparable(spoken: str) -> str:
    """Without what is written in two ways and heard alike: hyphens, and two words for zero."""
    return spoken.replace("-", " ").replace(" oh ", " zero ")


def _cpu_us() -> float:
    began = time.process_time()
    for _ in range(_CPU_RUNS):
        for shown in ENGLISH:
            to_spoken(shown)
    return (time.process_time() - began) / _CPU_RUNS / len(ENGLISH) * 1e6
