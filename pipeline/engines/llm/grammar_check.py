"""Which grammars the engine is given: those that a process with bounds could compile.

llguidance's compiler is native code, and a few schemas make it work for ever or ask for gigabytes. So each
grammar is compiled once in a process of its own, before it is compiled where others would wait for it.
"""

import asyncio
import re
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio

from pipeline.core.fair_slots import FairPlaces
from schemas.errors import EngineBusy, SchemaInvalid

_KEPT: Final = 256
"""Grammars whose verdict is remembered."""
_WAITING: Final = 32
"""So many checks of one principal wait; a check takes 0.3 s at most."""
_WAIT_S: Final = 10.0
_COMPILED_S: Final = 5.0
"""The process is killed after so long even if it was given no processor time."""
_PARTS: Final = 8
"""So many parts of a grammar are looked at to name the wrong one."""
_REASON: Final = re.compile(
    r'failed to (?:compile JSON schema|parse "%json"): (.*?)(?:\n +1 \||\Z)', re.DOTALL
)
_WHOLE: Final = "json-schema:///"
"""Name of the schema in llguidance's words; a place in it follows."""
_BUSY: Final = "Many schemas are being checked; try again in a moment."
_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM)
"""Signals that say nothing about a grammar: an operator sends them, or a machine without memory."""
_PROCESS: Final = Path(__file__).with_name("grammar_process.py")


class GrammarChecker:
    """Compiles one grammar at a time, for one principal after another. One thread only."""

    def __init__(self, charge: Callable[[str], Awaitable[None]] | None = None) -> None:
        """`charge` is asked before a grammar is compiled for a principal, and refuses by raising."""
        self._charge = charge
        self._places = FairPlaces(1)
        self._verdicts: OrderedDict[str, str] = OrderedDict()

    async def check(
        self,
        grammar: str,
        *,
        principal: str = "",
        field: str | None = None,
        parts: Mapping[str, str] | None = None,
    ) -> None:
        """Raises SchemaInvalid for a grammar that is wrong or too complex, and EngineBusy if too many wait.

        `field`: its place in the request. `parts`: grammars of what it is made of, by their fields: if one of
        them alone is refused, that is the field of the error.
        """
        if not (reason := await self._verdict(grammar, principal)):
            return
        for name, part in list((parts or {}).items())[:_PARTS]:
            if alone := await self._verdict(part, principal):
                raise SchemaInvalid(f"the schema {alone}", field=name)
        raise SchemaInvalid(f"the schema {reason}", field=field)

    async def _verdict(self, grammar: str, principal: str) -> str:
        """The reason why it is refused; "": there is none. Raises EngineBusy."""
        known = self._verdicts.get(grammar)
        if known is None:
            known = await self._compile(grammar, principal)
            self._verdicts[grammar] = known
        self._verdicts.move_to_end(grammar)
        while len(self._verdicts) > _KEPT:
            self._verdicts.popitem(last=False)
        return known

    async def _compile(self, grammar: str, principal: str) -> str:
        if self._places.waiting(principal) >= _WAITING:
            raise EngineBusy(_BUSY)
        if self._charge is not None:
            await self._charge(principal)
        async with AsyncExitStack() as place:
            with anyio.move_on_after(_WAIT_S) as waiting:
                await place.enter_async_context(self._places.place(principal))
            if waiting.cancelled_caught:
                raise EngineBusy(_BUSY)
            checked = asyncio.ensure_future(asyncio.to_thread(_compiled, grammar))
            try:
                return await asyncio.shield(checked)
            finally:  # nothing stops a thread: the place is taken for as long, also where the client has left
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([checked])


def _compiled(grammar: str) -> str:
    """The same in a process that is killed where it takes too much. Raises EngineBusy."""
    package = find_spec("llguidance")
    assert package is not None
    assert package.origin is not None
    command = [sys.executable, "-I", "-S", str(_PROCESS), str(Path(package.origin).parent)]
    try:
        done = subprocess.run(
            command, input=grammar.encode(), capture_output=True, env={}, check=False, timeout=_COMPILED_S
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise EngineBusy(_BUSY) from error  # the machine is too busy to tell
    if -done.returncode in _FROM_OUTSIDE:
        raise EngineBusy(_BUSY)
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
