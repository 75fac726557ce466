"""Carries the batches of all lanes into the log: one round trip at a time, again until each is answered."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import anyio

from pipeline.eventlog.event_log import Batch, EventLog, Outcome, Verdict
from pipeline.eventlog.producer_queue import ProducerQueue, refusal
from pipeline.eventlog.redis.failover.failover_replayer import GAP_S, FailoverReplayer, Given
from pipeline.eventlog.redis.failover.unreplicated_tail import UnreplicatedTail
from schemas.errors import LogError, LogFull, LogUnavailable, RhapsodeError
from schemas.ids import Seq, SessionId

FLUSH_BATCHES: Final = 256
"""Batches of one round trip; the others take the next."""
RETRY_S: Final = 0.05
FULL_S: Final = 1.0
"""Between tries while the log's memory is full: only deletions, which do not come this way, make room."""
IDLE_S: Final = 60.0
"""A road that nobody has taken for so long is forgotten: servers come and go."""
UNSURE_S: Final = 10.0
"""As long as the log's own patience."""
_IN: Final = (Verdict.OK, Verdict.DUP)
_LATER: Final = (
    *(Verdict.UNREPLICATED, Verdict.ARCHIVE_AWAY, Verdict.CONFLICT),
    *(Verdict.PRODUCER_GAP, Verdict.NO_SESSION),
)
"""Nothing is gained by sending it again at once."""


@dataclass(eq=False)
class ShardQueue:
    """The lanes whose events go to one server; those with something to say."""

    ready: dict[ProducerQueue, None] = field(default_factory=dict)
    work: asyncio.Event = field(default_factory=asyncio.Event)


class GroupCommitter:
    """A lone event leaves at once; whatever comes while a round trip is under way is the next group.

    There is one round trip under way on each road, so that a server that fails stops nobody else.
    """

    def __init__(
        self, log: EventLog, retain_s: float, appended: Callable[[float], None] = lambda _: None
    ) -> None:
        """`appended` is told how long each round trip took."""
        self._log = log
        self._appended = appended
        self._retained = UnreplicatedTail(retain_s)
        self._returner = FailoverReplayer(log, self._retained)
        self._roads: dict[str, ShardQueue] = {}
        self._new: list[tuple[str, ShardQueue]] = []
        self._at: dict[ProducerQueue, ShardQueue] = {}
        """A lane keeps its road until its batch is answered, wherever its session goes meanwhile."""
        self._unsure: dict[ProducerQueue, float] = {}
        """Since when too few replicas have the lane's batch."""
        self._displaced: dict[ProducerQueue, float] = {}
        """Since when what was before the lane's batch is missing."""
        self._news = asyncio.Event()
        self._done = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Lanes with something to say."""
        return len(self._at)

    @property
    def weight(self) -> int:
        """Roughly the bytes that those have to say."""
        return sum(lane.weight for lane in self._at)

    def add(self, lane: ProducerQueue) -> None:
        road = self._at.get(lane)
        if road is None:
            road = self._at[lane] = self._road(self._log.shard_of(lane.session))
        road.ready[lane] = None
        self._done.clear()
        road.work.set()

    def _road(self, name: str) -> ShardQueue:
        road = self._roads.get(name)
        if road is None:
            road = self._roads[name] = ShardQueue()
            self._new.append((name, road))
            self._news.set()
        return road

    async def erase(self, session: SessionId) -> None:
        """As `Recorder.erase`."""
        await self._returner.erase(session)

    async def drained(self) -> None:
        while self._at:
            await self._done.wait()

    async def run(self) -> None:
        """For ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._returner.run)
            while True:
                await self._news.wait()
                self._news.clear()
                while self._new:
                    tasks.start_soon(self._drive, *self._new.pop())

    async def _drive(self, name: str, road: ShardQueue) -> None:
        """Until nobody takes the road any more."""
        while True:
            with anyio.move_on_after(IDLE_S):
                await road.work.wait()
            if not road.work.is_set():
                del self._roads[name]
                return
            while road.ready:
                await self._flush(list(islice(road.ready, FLUSH_BATCHES)))
            road.work.clear()
            if not self._at:
                self._done.set()

    async def _flush(self, lanes: Sequence[ProducerQueue]) -> None:
        sent = [(lane, batch) for lane in lanes if (batch := lane.batch()) is not None]
        begun = time.monotonic()
        try:
            outcomes = await self._log.append([batch for _, batch in sent])
            self._appended(time.monotonic() - begun)
        except LogUnavailable as error:
            for lane in lanes:
                self._again(lane, error)
            await anyio.sleep(FULL_S if isinstance(error, LogFull) else RETRY_S)
            return
        except LogError as error:
            for lane in lanes:
                self._fail(lane, error)
            return
        for (lane, batch), outcome in zip(sent, outcomes, strict=True):
            if outcome.verdict is Verdict.UNREPLICATED:
                self._wait_for_replicas(lane, outcome)
            elif outcome.verdict is Verdict.CONFLICT and lane.place is not None:
                self._wait_for_others(lane, lane.place, outcome)
            elif outcome.verdict is Verdict.ARCHIVE_AWAY:
                self._again(lane, refusal(outcome.verdict))
            else:
                await self._settle(lane, batch, outcome)
        if all(
            lane in self._at and outcome.verdict in _LATER
            for (lane, _), outcome in zip(sent, outcomes, strict=True)
        ):
            await anyio.sleep(RETRY_S)

    def _wait_for_replicas(self, lane: ProducerQueue, outcome: Outcome) -> None:
        """It is sent again; whoever waits for it is told in time that nothing is certain."""
        lane.place = outcome.first or lane.place
        self._displaced.pop(lane, None)
        self._requeue(lane)
        since = self._unsure.setdefault(lane, time.monotonic())
        if lane.impatient and time.monotonic() - since > UNSURE_S:
            self._fail(lane, refusal(Verdict.UNREPLICATED))

    def _wait_for_others(self, lane: ProducerQueue, place: Seq, outcome: Outcome) -> None:
        """A server without the last events has come: those who wrote what was before this batch give it back.

        Readers read it at that place. If nobody gives back what was before it, or another event has
        its place, it goes wherever the log ends.
        """
        since = self._displaced.setdefault(lane, time.monotonic())
        if outcome.first >= place or time.monotonic() - since > GAP_S:
            lane.place = None
        self._requeue(lane)

    async def _settle(self, lane: ProducerQueue, batch: Batch, outcome: Outcome) -> None:
        if outcome.verdict in _IN:
            now = time.monotonic()
            self._retained.keep(batch, outcome, now)
            if self._returner.owes_nothing(lane.session):
                self._retained.let_go(lane.session, now)
            lane.settle(outcome)
            # To the end of the line, so that the first 256 lanes never starve the others.
            self._leave(lane)
            if not lane.empty:
                self.add(lane)
        elif await self._repaired(lane, outcome):
            self._requeue(lane)
        else:
            if outcome.verdict is Verdict.GONE:
                self._returner.forget(lane.session)
            self._fail(lane, refusal(outcome.verdict))

    def _again(self, lane: ProducerQueue, error: RhapsodeError) -> None:
        """Nothing is decided; who waits for the answer is told."""
        if lane.impatient:
            self._fail(lane, error)
        else:
            self._requeue(lane)

    def _requeue(self, lane: ProducerQueue) -> None:
        """To the end of the line: those who must be sent again and again leave room for the others."""
        if (road := self._at.get(lane)) is not None:
            road.ready.pop(lane, None)
            road.ready[lane] = None

    def _fail(self, lane: ProducerQueue, error: RhapsodeError) -> None:
        self._leave(lane)
        lane.fail(error)

    def _leave(self, lane: ProducerQueue) -> None:
        self._unsure.pop(lane, None)
        self._displaced.pop(lane, None)
        if (road := self._at.pop(lane, None)) is not None:
            road.ready.pop(lane, None)

    async def _repaired(self, lane: ProducerQueue, outcome: Outcome) -> bool:
        """True: the log had lost its end, we give it back, and the batch may be sent again."""
        if outcome.verdict not in (Verdict.PRODUCER_GAP, Verdict.NO_SESSION):
            return False
        try:
            given = await self._returner.give_back(lane.session)
        except LogUnavailable:
            return True  # nothing is decided: the batch is sent again and gets the same answer
        except LogError:
            return False  # the trouble of one session, which must not become everybody's
        if given is Given.WHOLE:
            again, lane.doubted = not lane.doubted, True  # somebody may have filled the gap meanwhile
            return again
        return given is not Given.NOTHING
