"""Fetches new pointers for all effects of a process, with one call."""

from collections.abc import Sequence
from typing import Final

import anyio

from pipeline.background.effect_runner import EffectRunner, pause
from pipeline.background.redis.redis_groups import RedisGroups
from schemas.errors import LogError, LogForeign

WAIT_S: Final = 5.0
"""Of one blocking read. A server that is gone without a word is noticed so much later."""


class EffectFeed:
    """Waits for news on one connection, and shares out what there is among the runners that have room."""

    def __init__(self, log: RedisGroups, runners: Sequence[EffectRunner], *, consumer: str) -> None:
        self._log = log
        self._runners = runners
        self._consumer = consumer
        self._due: set[int] = set()
        """Partitions in which there may be something new."""
        self._behind: set[EffectRunner] = set()
        """Runners that had no room, or took all that they had room for."""
        self._look = anyio.Event()

    async def run(self) -> None:
        """Runs the runners too, for ever. Raises LogForeign when the log was replaced by another one."""
        async with anyio.create_task_group() as tasks:
            for runner in self._runners:
                await tasks.start(runner.run, self._freed)
            tasks.start_soon(self._listen)
            while True:
                await self._look.wait()
                self._look = anyio.Event()
                try:
                    await self._share_out()
                except LogForeign:
                    raise
                except LogError as error:
                    await pause("reading", error)
                    self._look.set()

    def _freed(self, runner: EffectRunner) -> None:
        if runner in self._behind:
            self._look.set()

    async def _listen(self) -> None:
        while True:
            try:
                self._due |= await self._log.news(WAIT_S)
                self._look.set()
            except LogForeign:
                raise
            except LogError as error:
                await pause("waiting for news", error)

    async def _share_out(self) -> None:
        wishes = {runner: wish for runner in self._runners if (wish := runner.wish)}
        self._behind = set(self._runners) - set(wishes)
        if not wishes or not self._due:
            return
        due, self._due = self._due, set()
        try:
            found = await self._log.fetch(self._consumer, list(wishes.values()), due)
        except LogError:
            self._due |= due
            raise
        for runner, wish in wishes.items():
            runner.take(found.by_group[wish.group])
        self._due |= due if self._behind else found.behind
        if found.behind:
            self._behind = set(self._runners)
            if any(runner.wish for runner in wishes):
                self._look.set()
