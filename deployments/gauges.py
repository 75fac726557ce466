"""What a gateway process says of itself whenever somebody looks."""

from collections.abc import Mapping

from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.metrics import names
from pipeline.metrics.names import Metric
from pipeline.metrics.process import Gauges
from pipeline.owners import Owners
from schemas.limits import LimitSettings


def gauges_of(owners: Owners, recorder: Recorder, tailer: Tailer, limits: LimitSettings) -> Gauges:
    def look() -> Mapping[Metric, float]:
        followed, listeners = tailer.audience
        writers, outbox_bytes = recorder.outbox
        return {
            names.OWNED: owners.owned,
            names.RUNNING: owners.running,
            names.ROOM: limits.live_sessions,
            names.FOLLOWED: followed,
            names.LISTENERS: listeners,
            names.OUTBOX: writers,
            names.OUTBOX_BYTES: outbox_bytes,
        }

    return look
