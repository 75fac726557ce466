"""One step after the other, each as `make load` runs it; between two the system comes to rest."""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Final

import httpx

from loadtests.load import command
from loadtests.load.arguments import parsed
from loadtests.load.door import Door, Failed
from loadtests.load.result import Result

_WARM_UP_PER_S: Final = 1.0
_WARM_UP_S: Final = 10.0
"""Connections, imports, and what the gateways take for usual."""
_REST_S: Final = 60.0
_GRACE_S: Final = 60
_STOLEN: Final = 0.1
_TRIES: Final = 3
"""So often a step is made, while more than that part of the processors goes to other machines."""


def seconds_of(number: int, seconds: float) -> float:
    """The first step is twice as long: everything is compared with it."""
    return seconds * 2 if number == 0 else seconds


async def run(arguments: argparse.Namespace, url: str, home: Path | None) -> list[Result]:
    """The result of each step; fewer where it is stopped. Raises ValueError, Failed, RuntimeError."""
    door = Door(url, arguments.key or os.environ.get("RHAPSODE_KEY"))
    results: list[Result] = []
    try:
        await door.greet()
        command.say(arguments, "warming up\n")
        warming = _words(arguments, _WARM_UP_PER_S, min(_WARM_UP_S, arguments.seconds), seed=0)
        warm = await command.measured(warming, url, home)
        for number, per_s in enumerate(() if warm.stopped else arguments.rates):
            command.say(
                arguments, f"step {number + 1} of {len(arguments.rates)}: {per_s:g} people a second\n"
            )
            seconds = seconds_of(number, arguments.seconds)
            step = _words(arguments, per_s, seconds, seed=arguments.seed + number)
            results.append(await _fair(step, door, url, home, arguments.pause))
            if results[-1].stopped:
                break
    finally:
        await door.aclose()
    return results


async def _fair(step: argparse.Namespace, door: Door, url: str, home: Path | None, pause_s: float) -> Result:
    """Made again where much of the processor was taken away, late or not; the least disturbed one."""
    made: list[Result] = []
    while not made or (made[-1].stolen > _STOLEN and len(made) < _TRIES):
        await _rest(door, pause_s)
        made.append(await command.measured(step, url, home))
        if made[-1].stopped:
            return made[-1]
    return min(made, key=lambda each: each.stolen)


def _words(arguments: argparse.Namespace, per_s: float, seconds: float, *, seed: int) -> argparse.Namespace:
    """What `make load` would be told."""
    words = ["--scenario", arguments.scenario, "--rate", f"{per_s}/s", "--for", f"{seconds:g}"]
    words += ["--turns", str(arguments.turns), "--think", str(arguments.think), "--seed", str(seed)]
    words += ["--processes", arguments.processes, "--grace", str(_GRACE_S), "--compare", "50"]
    words += ["--quiet"] if arguments.quiet else []
    found = parsed(words)
    found.command, found.url, found.key = arguments.command, arguments.url, arguments.key
    return found


async def _rest(door: Door, pause_s: float) -> None:
    """Return when the system has said for so long that it takes more, or when that takes too long."""
    calm = 0
    try:
        async with asyncio.timeout(_REST_S):
            while calm < pause_s:
                await asyncio.sleep(1)
                try:
                    ready = (await door.page("/v1/ready")).status_code == httpx.codes.OK
                except Failed:
                    ready = False
                calm = calm + 1 if ready else 0
    except TimeoutError:
        return
