"""What `python -m loadtests.gpu` can be told."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.console import numbers
from loadtests.gpu import weights, whisper_shape

ENGINES: Final = ("llama", "vllm", "scripted")
VOICES: Final = ("piper", "coqui", "scripted")
EARS: Final = ("whisper", "whisperx", "scripted")
STEPS: Final = ("words", "voice", "whole", "ears", "calls")
_EPILOG: Final = (
    "Random weights (random:8b) are made on the spot: they have the speed and memory of such a model, and "
    "write made-up words. Nothing is downloaded. For a card: --engine vllm --model random:8b "
    "--voice coqui --ear whisperx --ear-model random:large-v2, after make env-vllm env-speech-gpu."
)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """`words`: None: of the command line. Exits with words about what cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.gpu",
        description="First sound, voice to voice and sessions per card, at several numbers of sessions.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("--sessions", type=numbers, default=(1, 4, 16, 64), metavar="N,N", help="default 1,4,16,64")
    add("--engine", choices=ENGINES, default="llama", help="who writes (default llama)")
    add("--model", type=_model, metavar="FOLDER|random:SHAPE", help=f"shapes: {', '.join(weights.SHAPES)}")
    add("--voice", choices=VOICES, default="piper", help="who speaks (default piper)")
    add("--ear", choices=EARS, default="whisper", help="who listens (default whisper)")
    add("--ear-model", type=_ear_model, metavar="FOLDER|random:SHAPE", help=_shapes(whisper_shape.SHAPES))
    add("--config", type=Path, help="a profile, as cluster/gpu.yaml; the engines above win over it")
    add("--url", help="a system that runs already: nothing is started, and the engines are what they are")
    add("--steps", nargs="+", choices=STEPS, default=STEPS, help="default: all")
    add("--tokens", type=int, default=120, help="of an answer, at most (default 120)")
    add("--turns", type=int, default=3, help="questions of each session (default 3)")
    add(
        "--target-ms",
        type=float,
        default=1_000.0,
        help="time to first audio that p95 must keep (default 1000)",
    )
    add("--without-ray", action="store_true", help="one gateway with its engines in one process")
    add("--cpu", action="store_true", help="engines for a card may run without one")
    add("--keep", action="store_true", help="write the tables into docs/measurements.md")
    add("--json", type=Path, metavar="FILE", help="write every figure into a file")
    add("--key", help="an API key, where the system asks for one")
    add("--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser(), help="prepared weights")
    return parser.parse_args(words)


def _shapes(shapes: dict[str, whisper_shape.WhisperShape]) -> str:
    return f"shapes: {', '.join(shapes)}"


def _model(text: str) -> str:
    return _known(text, list(weights.SHAPES))


def _ear_model(text: str) -> str:
    return _known(text, list(whisper_shape.SHAPES))


def _known(text: str, shapes: list[str]) -> str:
    kind, _, shape = text.partition(":")
    if kind == "random" and shape not in shapes:
        raise argparse.ArgumentTypeError(f"there is no shape {shape!r}; there are: {', '.join(shapes)}")
    if kind != "random" and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return text
