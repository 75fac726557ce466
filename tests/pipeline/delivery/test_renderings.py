"""Sound in another format is made once for everybody, however many sentences are kept."""

from collections import OrderedDict
from collections.abc import ValuesView
from typing import Any, cast

import pytest

from pipeline.audio.opus import silence
from pipeline.delivery.renderings import Renderings
from pipeline.session_state.session_views import SessionViews
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


class Unsearched(OrderedDict[Any, Any]):
    def values(self) -> ValuesView[Any]:
        pytest.fail("all that is kept is looked at: there may be a hundred thousand sentences")


def chunk(sentence: int) -> Recorded:
    data = {"sentence": sentence, "chunk": 0, "at_ms": 0, "ms": 20, "bytes": 1, "last": True}
    return Recorded(Seq(3 + sentence), 1, TurnId(2), "audio.chunk", 1, data, audio=silence(20))


async def test_one_more_piece_costs_as_much_however_many_are_kept() -> None:
    log, session = MemoryEventLog(), new_session_id()
    renderings = Renderings(log, SessionViews(log))
    renderings._renderings = cast("OrderedDict[Any, Any]", Unsearched())
    made = [await renderings.render(session, "pcm16", chunk(number)) for number in range(3)]
    assert len(made[0]) > 0
    assert renderings._bytes == sum(map(len, made))
    assert await renderings.render(session, "pcm16", chunk(0)) == made[0]
    renderings.forget(session)
    assert renderings._bytes == 0
