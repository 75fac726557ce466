"""Durable streams that change while a request is being answered."""

import anyio
import anyio.to_thread
import pytest

from pipeline.admission.allowance import Allowance
from pipeline.apps.streams import NewStream, Streams
from pipeline.core.clock import SystemClock
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.stream_state import NewAppend
from schemas.errors.stream_errors import StreamConflict, StreamFinished
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


async def test_an_append_to_a_stream_that_is_closed_while_its_json_is_read_is_refused() -> None:
    log, kind = MemoryEventLog(), "application/json"
    allowance = Allowance(MemoryMeter(), LimitSettings())
    threads = anyio.to_thread.current_default_thread_limiter()
    async with Recorder(log) as recorder, Tailer(log) as tailer:
        here, elsewhere = (Streams(log, recorder, tailer, allowance, SystemClock()) for _ in range(2))
        stream, _ = await here.create("ann", "story", NewStream(kind))
        before, threads.total_tokens = threads.total_tokens, 0

        async def close() -> None:
            while not threads.statistics().tasks_waiting:
                await anyio.lowlevel.checkpoint()
            await elsewhere.append("ann", stream.session, NewAppend(b"", kind, closes=True))
            await here.find("ann", "story")  # a reader comes
            threads.total_tokens = before

        with anyio.fail_after(20):
            async with anyio.create_task_group() as both:
                both.start_soon(close)
                with pytest.raises(StreamFinished):
                    await here.append("ann", stream.session, NewAppend(b'["%s"]' % (b"a" * 100_000), kind))
