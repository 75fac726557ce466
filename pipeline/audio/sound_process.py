"""`python -m pipeline.audio.sound_process`: decodes the recording at its input, in bounds, and is gone.

FFmpeg may work for hours or take gigabytes on a file of some kB, and nothing ends a thread. So each recording
is decoded in a process of its own, which has as much memory and time as sound needs and can be ended.
"""

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from pipeline.audio.sound_files import RATE, SoundFile
from schemas.errors import NotSound

REFUSED: Final = 3
"""Exit status where the reason is written to the error output."""
_MEMORY: Final = 96 << 20
"""Bytes of data."""
_CPU_S: Final = 5.0
_SHARE: Final = 0.25
"""Seconds of processor time: to begin with, and more for each second of sound."""
_NICE: Final = 5
"""Niceness of the process: speech goes first."""


def main() -> None:
    """Write the header as a line of JSON; then PCM16 mono at 16 kHz, to the end."""
    _bound()
    try:
        with SoundFile(sys.stdin.buffer) as sound:
            sys.stdout.buffer.write(json.dumps(asdict(sound.header)).encode() + b"\n")
            for piece in sound.pieces():
                _allow(len(piece) / 2 / RATE)
                sys.stdout.buffer.write(piece)
    except NotSound as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        sys.exit(REFUSED)


def _bound() -> None:
    os.nice(_NICE)
    bounds = [(resource.RLIMIT_DATA, _MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    for what, most in bounds:
        with suppress(ValueError):  # macOS refuses some
            resource.setrlimit(what, (most, most))
    signal.setitimer(signal.ITIMER_PROF, _CPU_S)  # its signal ends the process


def _allow(heard_s: float) -> None:
    """More time, for sound that was found."""
    left, _ = signal.getitimer(signal.ITIMER_PROF)
    signal.setitimer(signal.ITIMER_PROF, left + heard_s * _SHARE)


if __name__ == "__main__":
    main()
