"""Voices' figures on this machine: python -m tests.engines_speech.inside.measure_voices --device cuda

For each number of callers, who all speak the same sentences at once: time to first sound, processing time
for a second of sound (RTF, of all callers together), and what a batch had. Run it with OMP_NUM_THREADS=1, as
a replica is.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from statistics import median, quantiles

from pipeline.engines.ports import TextToSpeech
from pipeline.engines.tts import piper
from pipeline.engines.tts.coqui import coqui_engine
from schemas.settings import TextToSpeechSettings

SENTENCES = (
    "Yes, of course.",
    "One of the foxes ran by, and the old keeper saw it.",
    "The keeper climbed the stairs and lit the lamp before the storm came in, and nobody had seen him go.",
)


async def say(voice: TextToSpeech, text: str) -> tuple[float, float]:
    """(Milliseconds until the first sound, seconds of sound)."""
    began, first, size = time.perf_counter(), 0.0, 0
    async with aclosing(voice.synthesize(text, voice=voice.voices[0])) as stream:
        async for item in stream:
            if isinstance(item, bytes):
                first = first or (time.perf_counter() - began) * 1_000
                size += len(item)
    return first, size / 2 / voice.sample_rate


async def measure(name: str, voice: TextToSpeech, callers: int, rounds: int) -> str:
    """Every caller says every sentence, `rounds` times."""
    firsts: list[list[float]] = [[] for _ in SENTENCES]
    sound, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    for _ in range(rounds):
        for number, text in enumerate(SENTENCES):
            for first, seconds in await asyncio.gather(*(say(voice, text) for _ in range(callers))):
                firsts[number].append(first)
                sound += seconds
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    batches = getattr(voice, "batches", None)
    per = ", ".join(
        f"{len(text.split())} words {spread(one)}" for text, one in zip(SENTENCES, firsts, strict=True)
    )
    grouped = f", batches of {sum(batches) / len(batches):.1f}" if batches else ""
    return (
        f"{name}, {callers} callers: first sound p50/p95 {per}; "
        f"RTF {wall / sound:.3f} (processor {cpu / sound:.3f}){grouped}"
    )


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.0f}/{quantiles(values, n=20)[-1]:.0f} ms"


async def run(options: argparse.Namespace, cache: Path) -> None:
    for name, build in (("piper", piper.build), ("coqui", coqui_engine.build)):
        device = "cpu" if name == "piper" and not options.piper_too else options.device
        settings = TextToSpeechSettings(
            engine=name,
            device=device,
            streams=max(options.callers),
            batch=options.batch,
            threads=options.threads,
        )
        began = time.perf_counter()
        voice: TextToSpeech = build(settings, cache)
        print(f"{name} on {device}: loaded in {time.perf_counter() - began:.1f} s", flush=True)
        for text in SENTENCES:
            await say(voice, text)
        for callers in options.callers:
            print(await measure(name, voice, callers, options.rounds), flush=True)
        await voice.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--piper-too", action="store_true", help="Piper on that device as well")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    asyncio.run(run(parser.parse_args(), Path("~/.cache/rhapsode").expanduser()))


if __name__ == "__main__":
    main()
