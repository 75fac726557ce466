"""Several processes of this client, each with its own part of the callers, over a pipe to each."""

import asyncio
import multiprocessing
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import Any, Final

from loadtests.client.api_connection import ApiConnection
from loadtests.runner.open_loop import LoadPlan, LoadProgress, ProcessShare, lost, take_part

_SPAWN: Final = multiprocessing.get_context("spawn")
_STOP: Final = "stop"
_END_S: Final = 10.0
_BESIDE: Final = 300
"""Files of a process that are no listener's: requests, pipes, libraries."""


async def _received(pipe: Connection) -> Any:
    """The next message. Raises EOFError or OSError where there will be none."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(pipe.fileno())
    return pipe.recv()


@dataclass(slots=True)
class WorkerHandle:
    """One process."""

    plan: LoadPlan
    pipe: Connection
    process: SpawnProcess
    count: LoadProgress = field(default_factory=LoadProgress)

    def send(self, message: object) -> None:
        with suppress(OSError):  # it died, which `WorkerPool.work` tells
            self.pipe.send(message)

    async def ended(self) -> str:
        await asyncio.to_thread(self.process.join)
        status = self.process.exitcode or 0
        return f"signal {-status}" if status < 0 else f"status {status}"


@dataclass(slots=True)
class WorkerPool:
    """Told how far it is by `said`, which is given the sum over all; stopped by `stop`."""

    said: Callable[[LoadProgress], None]
    stop: asyncio.Event
    members: list[WorkerHandle] = field(default_factory=list)

    async def begin(self, plan: LoadPlan, url: str, key: str | None, processes: int) -> None:
        """Raises RuntimeError where one of them cannot; use `close` in any case."""
        for number in range(processes):
            part = replace(plan, process=number, processes=processes)
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(target=_worker, args=(theirs, part, url, key), daemon=True)
            process.start()
            theirs.close()
            self.members.append(WorkerHandle(part, ours, process))
        for member in self.members:
            try:
                await _received(member.pipe)
            except (EOFError, OSError):
                raise RuntimeError(f"a process of this client ended with {await member.ended()}") from None

    async def work(self, epoch_s: float) -> list[ProcessShare]:
        """From everybody: also of those who died, as `lost`. `epoch_s`: monotonic, which is one for all."""
        for member in self.members:
            member.send(epoch_s)
        stopping = asyncio.create_task(self._stop())
        try:
            return await asyncio.gather(*(self._follow(member, epoch_s) for member in self.members))
        finally:
            stopping.cancel()

    async def _stop(self) -> None:
        await self.stop.wait()
        for member in self.members:
            member.send(_STOP)

    async def _follow(self, member: WorkerHandle, epoch_s: float) -> ProcessShare:
        try:
            while not isinstance(message := await _received(member.pipe), ProcessShare):
                self._count(member, message)
        except (EOFError, OSError):
            at_s = monotonic() - epoch_s
            self._count(member, LoadProgress(over=True))
            died = f"process {member.plan.process + 1} died after {at_s:.0f} s ({await member.ended()})"
            return lost(member.plan, died, at_s)
        return message

    def _count(self, member: WorkerHandle, count: LoadProgress) -> None:
        member.count = count
        self.said(total([member.count for member in self.members]))

    async def close(self) -> None:
        """They end when nobody writes to them any more; who does not is killed."""
        for member in self.members:
            member.pipe.close()
        for member in self.members:
            await asyncio.to_thread(member.process.join, _END_S)
            if member.process.is_alive():
                member.process.kill()
                await asyncio.to_thread(member.process.join)


def total(counts: Sequence[LoadProgress]) -> LoadProgress:
    inside, fine, refused, failed, over = zip(*map(astuple, counts), strict=True)
    return LoadProgress(sum(inside), sum(fine), sum(refused), sum(failed), all(over))


def _worker(pipe: Connection, plan: LoadPlan, url: str, key: str | None) -> None:
    """All of one process. It ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent passes it on
    with suppress(asyncio.CancelledError, EOFError, BrokenPipeError):
        asyncio.run(_work(pipe, plan, url, key))


async def _work(pipe: Connection, plan: LoadPlan, url: str, key: str | None) -> None:
    async with ApiConnection(url, key, again_s=plan.again_s) as connection:
        await connection.greet()
        pipe.send("ready")
        epoch_s, stop = await _received(pipe), asyncio.Event()
        working = asyncio.create_task(take_part(plan, connection, pipe.send, stop, epoch_s))
        heeding = asyncio.create_task(_heed(pipe, stop, working))
        try:
            share = await working
        finally:
            heeding.cancel()
        pipe.send(share)


async def _heed(pipe: Connection, stop: asyncio.Event, working: asyncio.Task[ProcessShare]) -> None:
    """`_STOP` is the only message; without a parent nobody wants to know."""
    try:
        while await _received(pipe):
            stop.set()
    except (EOFError, OSError):
        working.cancel()


def room(people: int) -> int:
    """Let this process and its children have as many open files as they may; for how many callers that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = people + _BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return people
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return people
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(0, hard - _BESIDE)
