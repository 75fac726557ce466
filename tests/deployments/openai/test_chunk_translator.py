"""Events become chunks: without a server, event by event."""

import json
from typing import Any

import pytest

from deployments.faces.openai.chunk_translator import ChunkTranslator, Cursor, Wanted, Whole, parse_cursor
from schemas.errors import CursorMalformed, EngineBusy, EngineFailed
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id

pytestmark = pytest.mark.anyio
SESSION = new_session_id()


def wanted(**changes: Any) -> Wanted:
    asked: dict[str, Any] = {"created": 1, "model": "fox", "answered": lambda who, what: f"{who}/{what}"}
    return Wanted(session=SESSION, turn=TurnId(2), **(asked | changes))


def event(seq: int, kind: str, turn: int = 2, **data: Any) -> Recorded:
    return Recorded(Seq(seq), 0, TurnId(turn), kind, 1, data)


PASSAGE = {
    **{"collection": str(new_session_id()), "document": str(new_session_id()), "title": "Foxes"},
    **{"media_type": "text/plain", "start": 10, "end": 14, "text": "Red.", "score": 1.0},
    **{"strategy": "hybrid", "number": 3},
}


async def test_the_passages_of_an_answer_are_told_before_its_end() -> None:
    teller, whole = ChunkTranslator(wanted()), Whole(wanted())
    chunks = []
    for one in (
        event(3, "passages.found", passages=[PASSAGE]),
        event(4, "text.delta", at=0, text="They are red [3]."),
        event(5, "answer.cited", supports=[{"number": 3, "start": 0, "end": 17, "by": "marker"}]),
        event(6, "text.completed", finish="stop", provider="cloud", model="fox-2"),
        event(7, "turn.completed"),
    ):
        chunks += await teller.of(one)
    for chunk in chunks:
        whole.add(chunk)
    message = whole.completion(teller)["choices"][0]["message"]
    [citation] = message["annotations"]
    assert citation["type"] == "url_citation"
    cited = citation["url_citation"]
    assert (cited["start_index"], cited["end_index"], cited["title"]) == (0, 17, "Foxes")
    assert cited["url"].endswith(f"{PASSAGE['document']}/text?start=10&end=14")
    assert [chunk["model"] for chunk in chunks] == ["fox", "cloud/fox-2", "cloud/fox-2"]
    assert json.dumps(chunks)


async def test_events_of_other_turns_are_not_told() -> None:
    assert await ChunkTranslator(wanted()).of(event(9, "text.delta", turn=8, at=0, text="No.")) == []


@pytest.mark.parametrize(("code", "kind"), [("engine.busy", EngineBusy), ("internal", EngineFailed)])
async def test_a_failed_turn_is_the_error_that_it_was(code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="Out of words"):
        await ChunkTranslator(wanted()).of(event(3, "turn.failed", code=code, message="Out of words"))


async def test_a_server_calls_its_own_functions_unseen() -> None:
    call = {"call": "a", "name": "f", "arguments": "{}", "round": 0, "at": 0}
    assert await ChunkTranslator(wanted()).of(event(3, "tool.called", place="server", **call)) == []
    [chunk] = await ChunkTranslator(wanted()).of(event(3, "tool.called", place="client", **call))
    assert chunk["choices"][0]["delta"]["tool_calls"][0]["id"] == "a"


def test_a_cursor_is_read_as_it_was_written() -> None:
    for cursor in (Cursor(SESSION, Seq(7)), Cursor(SESSION, Seq(7), 0)):
        assert parse_cursor(str(cursor)) == cursor
    for text in ("", "-", f"{SESSION}-7.", f"{SESSION}-", f"{SESSION}-٣", f"{SESSION}-{'9' * 20}"):
        with pytest.raises(CursorMalformed):
            parse_cursor(text)


def test_a_cursor_covers_what_came_before_it() -> None:
    order = [Cursor(SESSION, Seq(6)), Cursor(SESSION, Seq(7), 0), Cursor(SESSION, Seq(7), 1)]
    order += [Cursor(SESSION, Seq(7)), Cursor(SESSION, Seq(8), 0)]
    for number, cursor in enumerate(order):
        assert [cursor.covers(other) for other in order] == [at <= number for at in range(len(order))]
