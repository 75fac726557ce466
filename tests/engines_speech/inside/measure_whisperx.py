"""WhisperX's figures on this machine:
python -m tests.engines_speech.inside.measure_whisperx --device cuda ...

Word error rate, processing time for each second of sound (RTF), and what a batch gains. Run it in WhisperX's
environment, with OMP_NUM_THREADS=1 as a replica has it.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from loadtests.client.recorded_speech import Clip, cards, librivox
from pipeline.engines.ports import Transcript
from pipeline.engines.stt.whisperx.whisperx_engine import WhisperX, build
from rhapsode.testing.clips import word_errors
from schemas.settings.listening_settings import QualitySpeechToTextSettings
from tests.engines_speech.expected_text import said

ROUNDS = 3


def measure(engine: WhisperX, clips: Sequence[Clip], batch: int, *, words: bool) -> str:
    """Every clip, `batch` at a time; the median of three rounds."""
    utterances = [said(clip, words=words) for clip in clips]
    walls, cpus = [], []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        answers = [
            answer
            for at in range(0, len(utterances), batch)
            for answer in engine.transcribe_many(utterances[at : at + batch])
        ]
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    seconds = sum(clip.ms for clip in clips) / 1_000
    texts = [answer.text for answer in answers if isinstance(answer, Transcript)]
    wrong = word_errors([(clip.text, text) for clip, text in zip(clips, texts, strict=True)])
    return (
        f"{len(utterances)} utterances, {seconds:.1f} s, batch {batch}, words {words}: WER {wrong:.1%}, "
        f"RTF {median(walls) / seconds:.3f} (processor {median(cpus) / seconds:.3f}), "
        f"{median(walls) / len(utterances) * 1_000:.0f} ms each"
    )


def memory_mib() -> float:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="base")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--align-model", default=None)
    options = parser.parse_args()
    settings = QualitySpeechToTextSettings(engine="whisperx", **vars(options))
    began = time.perf_counter()
    engine = build(settings, Path("~/.cache/rhapsode"))
    print(f"loaded in {time.perf_counter() - began:.1f} s, {memory_mib():.0f} MiB; {vars(options)}")
    engine.transcribe_many([said(librivox()[1])])
    for clips in (librivox(), cards()):
        for batch, words in ((1, False), (4, False), (1, True)):
            print(measure(engine, clips, batch, words=words))
    print(f"{memory_mib():.0f} MiB at most")


if __name__ == "__main__":
    main()
