"""Which grammars the engine is given: those that a process with bounds could compile.

llguidance's compiler is native code, and a few schemas make it work for ever or ask for gigabytes. So each
grammar is compiled once in a process of its own, before it is compiled where others would wait for it.
"""

import asyncio
import re
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from schemas.errors import EngineBusy, SchemaInvalid

_KEPT: Final = 256
"""Grammars whose verdict is remembered."""
_WAITING: Final = 32
"""A check takes 0.3 s at most; those at the end of the queue wait for 10 s."""
_PARTS: Final = 8
"""So many parts of a grammar are looked at to name the wrong one."""
_REASON: Final = re.compile(
    r'failed to (?:compile JSON schema|parse "%json"): (.*?)(?:\n +1 \||\Z)', re.DOTALL
)
_WHOLE: Final = "json-schema:///"
"""Name of the schema in llguidance's words; a place in it follows."""
_PROCESS: Final = Path(__file__).with_name("grammar_process.py")

_one_at_a_time: Final = ThreadPoolExecutor(1, thread_name_prefix="grammar-check")
_verdicts: Final[OrderedDict[str, str]] = OrderedDict()


async def check(grammar: str, *, field: str | None = None, parts: Mapping[str, str] | None = None) -> None:
    """Raises SchemaInvalid for a grammar that is wrong or too complex, and EngineBusy if too many wait.

    `field`: its place in the request. `parts`: grammars of what it is made of, by their fields: if one of
    them alone is refused, that is the field of the error.
    """
    if not (reason := await _verdict(grammar)):
        return
    for name, part in list((parts or {}).items())[:_PARTS]:
        if alone := await _verdict(part):
            raise SchemaInvalid(f"the schema {alone}", field=name)
    raise SchemaInvalid(f"the schema {reason}", field=field)


async def _verdict(grammar: str) -> str:
    """The reason why it is refused; "": there is none. Raises EngineBusy."""
    known = _verdicts.get(grammar)
    if known is None:
        if _one_at_a_time._work_queue.qsize() >= _WAITING:
            raise EngineBusy("Many schemas are being checked; try again in a moment.")
        known = await asyncio.wrap_future(_one_at_a_time.submit(_compiled, grammar))
        _verdicts[grammar] = known
    _verdicts.move_to_end(grammar)
    while len(_verdicts) > _KEPT:
        _verdicts.popitem(last=False)
    return known


def _compiled(grammar: str) -> str:
    """The same in a process that is killed where it takes too much."""
    package = find_spec("llguidance")
    assert package is not None
    assert package.origin is not None
    command = [sys.executable, "-I", "-S", str(_PROCESS), str(Path(package.origin).parent)]
    done = subprocess.run(command, input=grammar.encode(), capture_output=True, env={}, check=False)
    if done.returncode:
        return "is too complex: compiling it takes too long, or too much memory"
    return _reason(done.stdout.decode(errors="replace"))


def _reason(complaint: str) -> str:
    """llguidance's complaint in a line, without the schema that it repeats."""
    if not complaint:
        return ""
    if complaint.startswith("panic"):
        return "is too complex"
    found = _REASON.search(complaint)
    if found is None:
        first = complaint.splitlines()[0]
        return "has no document that fits it" if "NoExtension" in first else f"is not taken: {first[:300]}"
    lines = found[1].splitlines()
    told = next((line for line in lines if line.startswith("error: ")), lines[0])
    place = next(
        (line.rpartition("json-schema:///")[2] for line in lines[1:] if "json-schema:///" in line), ""
    )
    return f"{f'at {place[:200]} ' if place else ''}is not taken: {told.removeprefix('error: ')[:300]}"
