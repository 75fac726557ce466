"""Runs one effect: takes pointers, tries, tries again, and gives up in the open."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import (
    SESSION_DELETED,
    AbandonableEffect,
    Effect,
    EventDelivery,
    Member,
    Pointer,
    Wish,
)
from pipeline.core.clock import coalesced_sleep
from pipeline.eventlog.event_log import EventLog
from schemas.errors import LogError, LogForeign, LogFull, LogLost, LogUnavailable
from schemas.events.recorded import Recorded
from schemas.events.upcasting import UnknownEvent
from schemas.ids import NO_TURN, Seq, SessionId
from schemas.settings import WorkerSettings

AWAY_S: Final = 0.5
"""The pause when the log is away; its own patience comes on top."""
FULL_S: Final = 5.0
"""The pause when the log's memory is full, of each pointer that is held."""
READ_S: Final = 60.0
"""One event is read in this time, whatever the log's patience is."""
HELD_PER_SLOT: Final = 8
"""Pointers that may be held for each one worked on: most of them wait for another try."""
LONGEST_PAUSE_S: Final = 30.0
_logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Held:
    """A pointer that is ours until it is done with, or until somebody else has it."""

    pointer: Pointer
    times: int
    closing: bool = False
    """The log is being told what became of it; the answer says whether it was still ours."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


_Place = tuple[SessionId, Seq, str]
"""With the type: the pointer to a deleted session names its last event's place."""


class SharedReads:
    """Reads events for all effects of a process: those that want the same one meanwhile share the read."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reading: dict[_Place, asyncio.Task[Recorded | None]] = {}

    async def event(self, pointer: Pointer) -> Recorded | None:
        """As `read_event`. One caller that is cancelled leaves the read to the others."""
        place = pointer.session, pointer.seq, pointer.type
        reading = self._reading.get(place)
        if reading is None:
            reading = self._reading[place] = asyncio.create_task(self._read(pointer))
            reading.add_done_callback(lambda done: self._over(place, done))
        return await asyncio.shield(reading)

    async def _read(self, pointer: Pointer) -> Recorded | None:
        """Raises LogUnavailable after `READ_S`: those who try again would wait for the same read for ever."""
        try:
            async with asyncio.timeout(READ_S):
                return await read_event(self._log, pointer)
        except TimeoutError as error:
            raise LogUnavailable("An event could not be read in time.") from error

    def _over(self, place: _Place, done: asyncio.Task[Recorded | None]) -> None:
        del self._reading[place]
        if not done.cancelled():
            done.exception()  # seen, also where nobody waits any more


class EffectRunner:
    """One consumer of one effect's group. New pointers come from an EffectFeed."""

    def __init__(
        self,
        effect: Effect,
        group: RedisGroups,
        reads: SharedReads,
        settings: WorkerSettings,
        *,
        consumer: str,
    ) -> None:
        self._effect = effect
        self._group = group
        self._reads = reads
        self._settings = settings
        self._member = Member(effect.name, consumer)
        self._held: dict[Pointer, _Held] = {}
        self._resting = 0
        """Of those held: waiting for another try."""
        self._slots = anyio.Semaphore(settings.concurrency)
        self._room = anyio.Event()
        self._freed: Callable[[EffectRunner], object]
        self._tasks: TaskGroup

    @property
    def wish(self) -> Wish | None:
        """Pointers that it has room for; None: no room. Few are taken ahead: if this process dies, everything
        it holds counts as tried."""
        slots = self._settings.concurrency
        if len(self._held) - self._resting >= slots or len(self._held) >= slots * HELD_PER_SLOT:
            return None
        return Wish(self._effect.name, self._effect.types, slots)

    async def run(self, freed: Callable[["EffectRunner"], object], *, task_status: TaskStatus[None]) -> None:
        """For ever, calling `freed` whenever there is room again. Raises LogForeign when the log was replaced
        by another one."""
        self._freed = freed
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._claim)
                self._tasks.start_soon(self._beat)
                task_status.started()
        finally:
            with anyio.move_on_after(AWAY_S, shield=True):
                await self._hand_back()

    async def _hand_back(self) -> None:
        try:
            await self._group.leave(self._member)
        except LogError as error:
            _logger.info("%s: could not hand back its pointers: %s", self._effect.name, error)

    # ---------------------------------------------------------------- taking

    async def _claim(self) -> None:
        """Also finds what a lost answer left with us unseen."""
        while True:
            await coalesced_sleep(self._settings.claim_idle_s / 3)
            try:
                while await self._claim_some():
                    pass
            except LogError as error:
                await self._pause("claiming", error)

    async def _claim_some(self) -> bool:
        while self.wish is None:
            self._room = anyio.Event()
            await self._room.wait()
        found = await self._group.claim(self._member, idle_s=self._settings.claim_idle_s, count=1)
        self.take(found)
        return bool(found)

    async def _beat(self) -> None:
        while True:
            await coalesced_sleep(self._settings.claim_idle_s / 3)
            try:
                if self._held:
                    for pointer in await self._group.beat(self._member, list(self._held)):
                        self._let_go(pointer)
            except LogError as error:
                await self._pause("showing life", error)

    def _let_go(self, pointer: Pointer) -> None:
        """Another worker has the entry: this worker's writes about it would be refused."""
        held = self._held.get(pointer)
        if held is not None and not held.closing:
            _logger.warning("%s: lost %s, somebody else has it", self._effect.name, pointer)
            held.scope.cancel()

    async def _pause(self, doing: str, error: LogError) -> None:
        await pause(f"{self._effect.name}: {doing}", error)

    def _make_room(self) -> None:
        self._room.set()
        self._freed(self)

    def take(self, deliveries: Sequence[EventDelivery]) -> None:
        """Start work on what is not held yet.

        A promoted replica delivers held entries again where its group has an earlier place.
        """
        for one in deliveries:
            if one.pointer not in self._held:
                held = self._held[one.pointer] = _Held(one.pointer, one.times)
                self._tasks.start_soon(self._work_on, held)

    def _is_ours(self, pointer: Pointer) -> bool:
        """Not always, of those that another version of the program has held."""
        return pointer.type in self._effect.types and pointer.reader in (None, self._effect.name)

    # ---------------------------------------------------------------- working

    async def _work_on(self, held: _Held) -> None:
        try:
            with held.scope:
                await self._until_done(held)
        except LogForeign:
            raise
        except LogError as error:  # still pending: claimed once it is idle, by us or another
            _logger.warning("%s: %s waits for the log: %s", self._effect.name, held.pointer, error)
        finally:
            del self._held[held.pointer]
            self._make_room()

    async def _until_done(self, held: _Held) -> None:
        """Try until it is done, somebody else's, or a dead letter."""
        error = f"{held.times - 1} workers died while they had it"
        while held.times <= self._settings.deliveries:
            try:
                await self._once(held)
            except LogForeign:
                raise
            except LogUnavailable as away:  # says nothing about this event, so it is not counted
                await self._pause("working", away)
                continue
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
                _logger.warning("%s: try %d of %s: %s", self._effect.name, held.times, held.pointer, error)
            else:
                return
            if held.times == self._settings.deliveries:
                break
            await self._rest(held)
            held.times = await self._group.again(self._member, held.pointer)
            if not held.times:
                return
        await self._abandon(held.pointer)
        held.closing = True
        await self._group.dead_letter(self._member, held.pointer, error)
        _logger.error("%s: dead letter %s: %s", self._effect.name, held.pointer, error)

    async def _abandon(self, pointer: Pointer) -> None:
        """Lets the effect tell who waits; where that fails, the event is a dead letter all the same."""
        while isinstance(self._effect, AbandonableEffect) and self._is_ours(pointer):
            try:
                with anyio.fail_after(self._settings.try_s):
                    if (event := await self._reads.event(pointer)) is not None:
                        await self._effect.abandon(pointer, event)
            except LogForeign:
                raise
            except LogUnavailable as away:
                await self._pause("giving up", away)
                continue
            except Exception:
                _logger.exception("%s: nobody is told that %s is given up", self._effect.name, pointer)
            return

    async def _rest(self, held: _Held) -> None:
        """While one waits for its next try, another may be worked on."""
        pause_s = min(LONGEST_PAUSE_S, self._settings.retry_s * 2 ** (held.times - 1))
        self._resting += 1
        self._make_room()
        try:
            await anyio.sleep(pause_s)
        finally:
            self._resting -= 1

    async def _once(self, held: _Held) -> None:
        held.closing = False
        async with self._slots:
            with anyio.fail_after(self._settings.try_s):
                event = await self._reads.event(held.pointer) if self._is_ours(held.pointer) else None
                changes = None if event is None else await self._effect.apply(held.pointer, event)
        held.closing = True
        await self._group.finish(self._member, held.pointer, changes or ())


async def pause(doing: str, error: LogError) -> None:
    """Before another try of what the log has refused. Raises LogForeign: no other try helps."""
    if isinstance(error, LogForeign):
        raise error
    _logger.warning("%s goes wrong, trying again: %s", doing, error)
    await anyio.sleep(FULL_S if isinstance(error, LogFull) else AWAY_S)


async def read_event(log: EventLog, pointer: Pointer) -> Recorded | None:
    """The event that is pointed to; None where its session was deleted.

    Raises UnknownFact for a version that a later program wrote: the effect is tried again, by workers of
    that program as soon as they run, and is a dead letter if none does.
    """
    if pointer.type == SESSION_DELETED:
        return Recorded(
            seq=pointer.seq, ts_ms=pointer.at_ms, turn=NO_TURN, type=SESSION_DELETED, v=1, data={}
        )
    found = await log.read(pointer.session, Seq(pointer.seq - 1), limit=1)
    if found:
        if found[0].type != found[0].stored_type:
            raise UnknownEvent(f"event {pointer.seq} of session {pointer.session} has version {found[0].v}")
        return found[0]
    [head] = await log.heads([pointer.session])
    if head is None or head.state == "deleted":
        return None
    raise LogLost(f"event {pointer.seq} of session {pointer.session} is not in the log")


WAIT_S: Final = 5.0
"""Of one blocking read. A server that is gone without a word is noticed so much later."""
GATHER_S: Final = 0.1
"""Between two looks: what happens meanwhile is taken with one call."""


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
                await anyio.sleep(GATHER_S)
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
