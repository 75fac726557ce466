"""Forks of a durable stream whose source is deleted meanwhile."""

import anyio
import pytest

from pipeline.admission.allowance import Allowance
from pipeline.apps.streams import NewStream, Streams
from pipeline.core.clock import SystemClock
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from schemas.errors.stream_errors import StreamConflict
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.settings.limit_settings import LimitSettings
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio


class Emptied(MemoryEventLog):
    """Its streams are deleted between a look at them and a read of their bytes."""

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        await anyio.lowlevel.checkpoint()
        if audio:
            await self.delete(session)
        return await super().read(session, after, limit=limit, audio=audio)


WHOLE = NewStream("", forked_from="source")
PART = NewStream("", forked_from="source", fork_offset=2, fork_sub_offset=1)


@pytest.mark.parametrize("new", [WHOLE, PART], ids=["whole", "part"])
async def test_a_fork_whose_source_is_deleted_meanwhile_is_refused(new: NewStream) -> None:
    log = Emptied()
    allowance = Allowance(MemoryMeter(), LimitSettings())
    async with Recorder(log) as recorder, Tailer(log) as tailer:
        streams = Streams(log, recorder, tailer, allowance, SystemClock())
        await streams.create("ann", "source", NewStream("text/plain", b"abc"))
        with anyio.fail_after(20), pytest.raises(StreamConflict):
            await streams.create("ann", "fork", new)
