"""One step after the other, each as `make load` runs it; between two the system comes to rest."""

import argparse
import asyncio
import os
from dataclasses import dataclass
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
_GRACE_S: Final = 60.0
_COMPARE: Final = 50
_STOLEN: Final = 0.1
_TRIES: Final = 3
"""So often a step is made, while more than that part of the processors goes to other machines."""


def seconds_of(number: int, seconds: float) -> float:
    """The first step is twice as long: everything is compared with it."""
    return seconds * 2 if number == 0 else seconds


@dataclass(frozen=True, slots=True)
class Plans:
    """What `make load` is told, one run after the other."""

    warm_up: argparse.Namespace
    steps: tuple[argparse.Namespace, ...]


def planned(arguments: argparse.Namespace) -> Plans:
    """All of it, before a system is started. Raises ValueError, and says which step cannot be."""
    warm_up = _told(arguments, _WARM_UP_PER_S, min(_WARM_UP_S, arguments.seconds), seed=0)
    warm_up.arrivals = "constant"  # somebody comes, however short it is
    command.planned(warm_up)
    steps = tuple(
        _told(arguments, per_s, seconds_of(number, arguments.seconds), seed=arguments.seed + number)
        for number, per_s in enumerate(arguments.rates)
    )
    for number, step in enumerate(steps, start=1):
        try:
            command.planned(step)
        except ValueError as error:
            raise ValueError(f"step {number} of {len(steps)}: {error}") from error
    return Plans(warm_up, steps)


async def run(
    arguments: argparse.Namespace, plans: Plans, url: str, home: Path | None, results: list[Result]
) -> None:
    """Each step's result is added as soon as it is there. Raises ValueError, Failed, RuntimeError."""
    door = Door(url, arguments.key or os.environ.get("RHAPSODE_KEY"))
    try:
        await door.greet()
        command.say(arguments, "warming up\n")
        warm = await command.measured(plans.warm_up, url, home)
        for number, step in enumerate(() if warm.stopped else plans.steps, start=1):
            command.say(arguments, f"step {number} of {len(plans.steps)}: {step.rate:g} people a second\n")
            results.append(await _fair(step, door, url, home, arguments.pause))
            if results[-1].stopped:
                break
    finally:
        await door.aclose()


async def _fair(step: argparse.Namespace, door: Door, url: str, home: Path | None, pause_s: float) -> Result:
    """Made again where much of the processor was taken away, late or not; the least disturbed one."""
    made: list[Result] = []
    while not made or (made[-1].stolen > _STOLEN and len(made) < _TRIES):
        await _rest(door, pause_s)
        made.append(await command.measured(step, url, home))
        if made[-1].stopped:
            return made[-1]
    return min(made, key=lambda each: each.stolen)


def _told(arguments: argparse.Namespace, per_s: float, seconds: float, *, seed: int) -> argparse.Namespace:
    """What `make load` would be told."""
    found = parsed([])
    for name in ("command", "url", "key", "scenario", "turns", "think", "processes", "quiet"):
        setattr(found, name, getattr(arguments, name))
    found.rate, found.seconds, found.seed = per_s, seconds, seed
    found.grace, found.compare, found.from_the_door = _GRACE_S, _COMPARE, True
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
