"""Counts what events say about speed and success, once each: the numbers behind the Prometheus page."""

from collections.abc import Sequence
from typing import Final

from pipeline.background.worker_ports import Change, Pointer
from pipeline.eventlog.event_log import EventLog
from pipeline.observability.metric_fold import MEASURED, measured
from schemas.events.recorded import Recorded

TALLY: Final = "tally"
"""A hash of the partition: field -> number."""


class Measuring:
    """What a turn adds is written together with the acknowledgement of its end: whoever takes the turn over,
    and however often a worker tries, it is counted once."""

    name = "measuring"
    types = MEASURED

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change]:
        tally = await measured(self._log, pointer.session, event)
        return [Change("HINCRBY", TALLY, (field, number)) for field, number in tally]
