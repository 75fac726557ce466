"""Several processes of this client: people are dealt out by number, and what they bring is put together."""

import asyncio
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

from loadtests.load.post import Go, Orders, Ready, Stop, packed, received
from loadtests.load.runner import Count, Plan
from loadtests.load.share import Share, lost

_END_S: Final = 10.0
_BESIDE: Final = 300
"""Files of a process that are no listener's: requests, pipes, libraries."""


@dataclass(slots=True)
class Member:
    """One process."""

    plan: Plan
    process: asyncio.subprocess.Process
    count: Count = field(default_factory=Count)
    share: Share | None = None

    def send(self, message: object) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(packed(message))

    async def received(self) -> object:
        assert self.process.stdout is not None
        return await received(self.process.stdout)


@dataclass(slots=True)
class Crew:
    """Told how far it is by `said`, which is given the sum over all; stopped by `stop`."""

    said: Callable[[Count], None]
    stop: asyncio.Event
    members: list[Member] = field(default_factory=list)

    async def begin(self, plan: Plan, url: str, key: str | None, processes: int) -> None:
        """Raises RuntimeError where one of them cannot; use `close` in any case."""
        for number in range(processes):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "loadtests.load.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            member = Member(replace(plan, process=number, processes=processes), process)
            self.members.append(member)
            member.send(Orders(member.plan, url, key))
        for member in self.members:
            if await member.received() != Ready():
                raise RuntimeError(f"a process of this client ended with {await member.process.wait()}")

    async def work(self, epoch_s: float) -> list[Share]:
        """From everybody: also of those who died, as `lost`."""
        for member in self.members:
            member.send(Go(epoch_s))
        stopping = asyncio.create_task(self._stop())
        try:
            return await asyncio.gather(*(self._follow(member, epoch_s) for member in self.members))
        finally:
            stopping.cancel()

    async def _stop(self) -> None:
        await self.stop.wait()
        for member in self.members:
            member.send(Stop())

    async def _follow(self, member: Member, epoch_s: float) -> Share:
        while (message := await member.received()) is not None:
            if isinstance(message, Share):
                return message
            assert isinstance(message, Count)
            self._count(member, message)
        at_s = monotonic() - epoch_s
        self._count(member, Count(over=True))
        status = await member.process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        number = member.plan.process + 1
        return lost(member.plan, f"process {number} died after {at_s:.0f} s ({how})", at_s)

    def _count(self, member: Member, count: Count) -> None:
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


def total(counts: Sequence[Count]) -> Count:
    return Count(
        inside=sum(count.inside for count in counts),
        fine=sum(count.fine for count in counts),
        refused=sum(count.refused for count in counts),
        failed=sum(count.failed for count in counts),
        over=all(count.over for count in counts),
    )


def room(people: int) -> int:
    """Let this process and its children have as many open files as they may; for how many people that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = people + _BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return people
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return people
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(0, hard - _BESIDE)
