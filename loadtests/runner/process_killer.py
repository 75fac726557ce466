"""Which part of the system is killed when, decided before the run. Pure."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import psutil

from loadtests.report.load_result import PARTS, ProcessKill
from loadtests.servers.system_processes import LOG, log_server, processes

_MARGIN_S: Final = 60.0
"""Before the first kill and after the last, at most: somebody is there, and everything is back at the end."""


@dataclass(frozen=True, slots=True)
class DueKill:
    """At this second of the run (or later, where this client is late) one process of this part dies."""

    at_s: float
    part: str


def schedule(every_s: float, seconds: float, seed: int) -> list[DueKill]:
    """One every so often, round after round, each round in another order. Empty: the run is too short."""
    dice, margin_s = random.Random(seed), min(_MARGIN_S, every_s)
    dues: list[DueKill] = []
    waiting: list[str] = []
    while (at_s := margin_s + len(dues) * every_s) <= seconds - margin_s:
        if not waiting:
            waiting = dice.sample(list(PARTS), len(PARTS))
        dues.append(DueKill(at_s, waiting.pop()))
    return dues


_LOOK_S: Final = 0.5
"""Between looks for a new process: each look reads a page about every process of this machine."""


@dataclass(slots=True)
class ProcessKiller:
    """`home`: of the system, by which its processes are found; nobody else's are touched."""

    home: Path
    dues: Sequence[DueKill]
    seed: int
    kills: list[ProcessKill] = field(default_factory=list)
    _taken: set[psutil.Process] = field(default_factory=set, init=False)
    """Those that have followed one that was killed: each follows only one."""
    over: bool = False
    """All callers have left: nothing else is killed."""

    async def run(self, epoch_s: float) -> None:
        """Until the last process that was killed has been followed by another, or until cancelled."""
        dice = random.Random(self.seed)
        async with asyncio.TaskGroup() as watching:
            for due in self.dues:
                await asyncio.sleep(epoch_s + due.at_s - monotonic())
                if self.over:
                    return
                before = await asyncio.to_thread(_of_part, self.home, due.part)
                pid = _killed(dice.choice(before)) if before else None
                killed_s = monotonic()
                self.kills.append(ProcessKill(at_s=round(killed_s - epoch_s, 1), part=due.part, pid=pid))
                if pid is not None:
                    known = frozenset(before)
                    watching.create_task(self._follow(len(self.kills) - 1, due.part, known, killed_s))

    async def _follow(
        self, number: int, part: str, known: frozenset[psutil.Process], killed_s: float
    ) -> None:
        """Note when there is a process of this part that nobody knew."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now = await asyncio.to_thread(_of_part, self.home, part)
            if new := [process for process in now if process not in known | self._taken]:
                self._taken.add(new[0])
                back_s = round(monotonic() - killed_s, 1)
                self.kills[number] = self.kills[number].model_copy(update={"back_s": back_s})
                return


def _killed(victim: psutil.Process) -> int | None:
    """Its number; None: it was gone before us."""
    try:
        victim.kill()  # psutil looks first whether it still is that process
    except psutil.NoSuchProcess:
        return None
    return victim.pid


def _of_part(home: Path, part: str) -> list[psutil.Process]:
    """Those that live, in order of their numbers."""
    found = log_server(home) if part == LOG else [one for role, one in processes(home) if role == part]
    return sorted(filter(_lives, found), key=lambda one: one.pid)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
