"""`python -I -S grammar_process.py FOLDER`: compiles a grammar in bounds, and says what is wrong with it.

It imports nothing but llguidance's own library, from FOLDER, so that it is ready in 20 ms.
"""

import os
import resource
import signal
import sys
from typing import Final

_CPU_S: Final = 0.25
"""All answers stand still for about as long while the engine compiles the same grammar."""
_MEMORY: Final = 512 << 20
_NICE: Final = 5
"""Niceness of the process: speech goes first."""


def main() -> None:
    """Read a grammar; write llguidance's complaint about it, or nothing."""
    sys.path.insert(0, sys.argv[1])
    from _lib import LLMatcher, LLTokenizer  # type: ignore[import-not-found]

    grammar = sys.stdin.buffer.read().decode()
    os.nice(_NICE)
    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    signal.setitimer(signal.ITIMER_PROF, _CPU_S)  # its signal ends the process
    matcher = LLMatcher(LLTokenizer("byte"), grammar, log_level=0)
    matcher.compute_bitmask()
    sys.stdout.write(matcher.get_error())


if __name__ == "__main__":
    main()
