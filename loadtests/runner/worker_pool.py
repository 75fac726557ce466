"""Messages between the processes of this client: pickled, each with its length before it.

Only between a parent and the children that it has started itself, over their pipes.
"""

import asyncio
import pickle
import resource
import sys
from asyncio import IncompleteReadError, StreamReader
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final

from loadtests.runner.open_loop import LoadPlan, LoadProgress, ProcessShare, lost

_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class WorkerOrders:
    """Orders for a process; it answers `WorkerReady`, and waits for `StartOrder`."""

    plan: LoadPlan
    url: str
    key: str | None


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """It has imported everything, and somebody answers at the address."""


@dataclass(frozen=True, slots=True)
class StartOrder:
    """When it begins, on the monotonic clock, which the processes of a machine share."""

    epoch_s: float


@dataclass(frozen=True, slots=True)
class StopOrder:
    """No caller comes any more, and those inside leave."""


def packed(message: object) -> bytes:
    content = pickle.dumps(message)
    return len(content).to_bytes(_LENGTH, "big") + content


async def received(reader: StreamReader) -> Any:
    """The next message; None: there will be none."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return pickle.loads(await reader.readexactly(length))
    except (IncompleteReadError, ConnectionError):
        return None


_END_S: Final = 10.0
_BESIDE: Final = 300
"""Files of a process that are no listener's: requests, pipes, libraries."""


@dataclass(slots=True)
class WorkerHandle:
    """One process."""

    plan: LoadPlan
    process: asyncio.subprocess.Process
    count: LoadProgress = field(default_factory=LoadProgress)
    share: ProcessShare | None = None

    def send(self, message: object) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(packed(message))

    async def received(self) -> object:
        assert self.process.stdout is not None
        return await received(self.process.stdout)


@dataclass(slots=True)
class WorkerPool:
    """Told how far it is by `said`, which is given the sum over all; stopped by `stop`."""

    said: Callable[[LoadProgress], None]
    stop: asyncio.Event
    members: list[WorkerHandle] = field(default_factory=list)

    async def begin(self, plan: LoadPlan, url: str, key: str | None, processes: int) -> None:
        """Raises RuntimeError where one of them cannot; use `close` in any case."""
        for number in range(processes):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "loadtests.runner.worker_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            member = WorkerHandle(replace(plan, process=number, processes=processes), process)
            self.members.append(member)
            member.send(WorkerOrders(member.plan, url, key))
        for member in self.members:
            if await member.received() != WorkerReady():
                raise RuntimeError(f"a process of this client ended with {await member.process.wait()}")

    async def work(self, epoch_s: float) -> list[ProcessShare]:
        """From everybody: also of those who died, as `lost`."""
        for member in self.members:
            member.send(StartOrder(epoch_s))
        stopping = asyncio.create_task(self._stop())
        try:
            return await asyncio.gather(*(self._follow(member, epoch_s) for member in self.members))
        finally:
            stopping.cancel()

    async def _stop(self) -> None:
        await self.stop.wait()
        for member in self.members:
            member.send(StopOrder())

    async def _follow(self, member: WorkerHandle, epoch_s: float) -> ProcessShare:
        while (message := await member.received()) is not None:
            if isinstance(message, ProcessShare):
                return message
            assert isinstance(message, LoadProgress)
            self._count(member, message)
        at_s = monotonic() - epoch_s
        self._count(member, LoadProgress(over=True))
        status = await member.process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        number = member.plan.process + 1
        return lost(member.plan, f"process {number} died after {at_s:.0f} s ({how})", at_s)

    def _count(self, member: WorkerHandle, count: LoadProgress) -> None:
        member.count = count
        self.said(total([member.count for member in self.members]))

    async def close(self) -> None:
        """They end when nobody writes to them any more; who does not is killed."""
        for member in self.members:
            if member.process.stdin is not None:
                member.process.stdin.close()
        for member in self.members:
            try:
                async with asyncio.timeout(_END_S):
                    await member.process.wait()
            except TimeoutError:
                member.process.kill()
                await member.process.wait()


def total(counts: Sequence[LoadProgress]) -> LoadProgress:
    return LoadProgress(
        inside=sum(count.inside for count in counts),
        fine=sum(count.fine for count in counts),
        refused=sum(count.refused for count in counts),
        failed=sum(count.failed for count in counts),
        over=all(count.over for count in counts),
    )


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
