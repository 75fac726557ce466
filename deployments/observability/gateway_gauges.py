"""Gauges of a gateway process, read on demand."""

from collections.abc import Mapping

from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.observability import metric_names
from pipeline.observability.metric_names import Metric
from pipeline.observability.process_metrics import Gauges
from pipeline.sessions.owner_pool import OwnerPool
from schemas.settings.limit_settings import LimitSettings


def gauges_of(owners: OwnerPool, recorder: Recorder, tailer: Tailer, limits: LimitSettings) -> Gauges:
    def look() -> Mapping[Metric, float]:
        followed, listeners = tailer.audience
        writers, outbox_bytes = recorder.outbox
        return {
            metric_names.OWNED: owners.owned,
            metric_names.RUNNING: owners.running,
            metric_names.ROOM: limits.live_sessions,
            metric_names.FOLLOWED: followed,
            metric_names.LISTENERS: listeners,
            metric_names.OUTBOX: writers,
            metric_names.OUTBOX_BYTES: outbox_bytes,
        }

    return look
