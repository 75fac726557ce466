"""Sound in another format is made once for everybody, however many sentences are kept."""

import threading
from collections import OrderedDict
from collections.abc import ValuesView
from typing import Any, cast

import anyio
import pytest

from pipeline.audio.opus import silence
from pipeline.delivery.renderings import Renderings, SentenceRenderer
from pipeline.session_state.session_views import SessionViews
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


class Unsearched(OrderedDict[Any, Any]):
    def values(self) -> ValuesView[Any]:
        pytest.fail("all that is kept is looked at: there may be a hundred thousand sentences")


def chunk(sentence: int, *, last: bool = True) -> Recorded:
    data = {"sentence": sentence, "chunk": 0, "at_ms": 0, "ms": 20, "bytes": 1, "last": last}
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


async def test_a_sentence_that_is_whole_keeps_no_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take four hundred times as much memory as a short sentence."""
    monkeypatch.setattr("pipeline.delivery.renderings._OPEN", 2)
    log, session = MemoryEventLog(), new_session_id()
    renderings = Renderings(log, SessionViews(log))
    for number in range(4):
        await renderings.render(session, "mp3", chunk(number))
    assert [one.renderer for one in renderings._renderings.values()] == [None] * 4
    for number in range(4, 8):
        await renderings.render(session, "mp3", chunk(number, last=False))
    assert [one.renderer is not None for one in renderings._renderings.values()] == [False] * 4 + [True] * 2
    assert renderings._bytes == sum(
        len(each) for one in renderings._renderings.values() for each in one.chunks
    )


async def test_hundreds_of_replays_of_one_listener_keep_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, session, made, go_on = MemoryEventLog(), new_session_id(), list[str](), threading.Event()
    renderings = Renderings(log, SessionViews(log))
    monkeypatch.setattr(SentenceRenderer, "render", lambda *_, **__: b"%d" % go_on.wait(20))

    async def listen(principal: str, sentence: int) -> None:
        await renderings.render(session, "mp3", chunk(sentence), principal)
        made.append(principal)

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(listen, "anna", number)
        tasks.start_soon(listen, "bob", 200)
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert made.index("bob") < 100
