"""Carries the batches of all lanes into the log: one round trip at a time, again until each is answered."""

import asyncio
import time
from collections.abc import Sequence
from itertools import islice
from typing import Final

import anyio

from pipeline.log.base import Batch, EventLog, Outcome, Verdict
from pipeline.log.lane import Lane, refusal
from pipeline.log.retained import RetainedTail
from schemas.errors import LogError, LogUnavailable, RhapsodeError
from schemas.ids import Seq, SessionId

FLUSH_BATCHES: Final = 256
"""Batches of one round trip; the others take the next."""
RETRY_S: Final = 0.05
_IN: Final = (Verdict.OK, Verdict.DUP)


class Flusher:
    """A lone fact leaves at once; whatever comes while a round trip is under way is the next group."""

    def __init__(self, log: EventLog, retain_s: float) -> None:
        self._log = log
        self._retained = RetainedTail(retain_s)
        self._ready: dict[Lane, None] = {}
        self._work = asyncio.Event()
        self._done = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Lanes with something to say."""
        return len(self._ready)

    def add(self, lane: Lane) -> None:
        self._ready[lane] = None
        self._done.clear()
        self._work.set()

    async def drained(self) -> None:
        while self._ready:
            await self._done.wait()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._work.wait()
            while self._ready:
                await self._flush(list(islice(self._ready, FLUSH_BATCHES)))
            self._work.clear()
            self._done.set()

    async def _flush(self, lanes: Sequence[Lane]) -> None:
        sent = [(lane, batch) for lane in lanes if (batch := lane.batch()) is not None]
        try:
            outcomes = await self._log.append([batch for _, batch in sent])
        except LogUnavailable as error:
            for lane in lanes:
                if lane.impatient:
                    self._fail(lane, error)
            await anyio.sleep(RETRY_S)
            return
        except LogError as error:
            for lane in lanes:
                self._fail(lane, error)
            return
        for (lane, batch), outcome in zip(sent, outcomes, strict=True):
            await self._settle(lane, batch, outcome)

    async def _settle(self, lane: Lane, batch: Batch, outcome: Outcome) -> None:
        if outcome.verdict in _IN:
            self._retained.keep(batch, outcome, time.monotonic())
            lane.settle(outcome)
            # To the end of the line, so that the first 256 lanes never starve the others.
            self._ready.pop(lane, None)
            if not lane.empty:
                self._ready[lane] = None
        elif not await self._repaired(batch, outcome):
            self._fail(lane, refusal(outcome.verdict))

    def _fail(self, lane: Lane, error: RhapsodeError) -> None:
        self._ready.pop(lane, None)
        lane.fail(error)

    async def _repaired(self, batch: Batch, outcome: Outcome) -> bool:
        """True: the log had lost its end, we gave it back, and the batch may be sent again."""
        if outcome.verdict not in (Verdict.PRODUCER_GAP, Verdict.NO_SESSION):
            return False
        try:
            return await self._give_back(batch.session)
        except LogUnavailable:
            return True  # nothing is decided: the batch is sent again and gets the same answer

    async def _give_back(self, session: SessionId) -> bool:
        [head] = await self._log.heads([session])
        lost = self._retained.beyond(session, head.seq if head else Seq(0))
        if not lost:
            return False
        outcomes = await self._log.append(lost)
        return all(
            outcome.verdict in _IN and outcome.first == batch.expected + 1
            for batch, outcome in zip(lost, outcomes, strict=True)
        )
