"""Answers with long lists: the same JSON as of a short one, made as it is taken."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from deployments.web.connection_limiter import count_as_lasting, counted_by
from deployments.web.json_lists import as_they_are, listed
from deployments.web.resource_access import PRINCIPAL
from pipeline.admission.held_sessions import HeldSessions
from pipeline.auth.principals import Principal
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from schemas.errors.access_errors import ListenerLimit
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import LimitSettings

pytestmark = pytest.mark.anyio
ANNA = Principal("anna")


class Line(BaseModel):
    number: int
    text: str


class Page(BaseModel):
    title: str
    lines: tuple[Line, ...] = ()


class OnlyLines(BaseModel):
    lines: tuple[Line, ...] = ()


@pytest.mark.parametrize("about", [Page(title="A \u201cpage\u201d"), OnlyLines()])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_short_list_is_told_at_once(about: Page | OnlyLines, count: int) -> None:
    lines = tuple(Line(number=number, text='\u00e4\n"') for number in range(count))
    told = await listed(HTTPConnection({"type": "http"}), about, "lines", iter(lines), Conversation())
    assert int(told.headers["content-length"]) == len(told.body)
    whole = about.model_copy(update={"lines": lines})
    assert json.loads(bytes(told.body)) == whole.model_dump(mode="json")


def asking(held: HeldSessions) -> HTTPConnection:
    state = SimpleNamespace(services=SimpleNamespace(held=held, ownership=None))
    return HTTPConnection({"type": "http", "app": SimpleNamespace(state=state), PRINCIPAL: ANNA})


async def test_long_items_count_while_their_list_is_told_and_the_first_list_is_always_taken() -> None:
    held, session = HeldSessions(LimitSettings()), Conversation()
    session.data_bytes = held.limits.held_bytes

    async def take() -> None:
        """Nothing bounds the number of lists here."""

    async def told(ends: ExitStack) -> StreamingResponse:
        connection = asking(held)
        counted_by(connection.scope, take, ends)
        lines = (Line(number=number, text="x" * 300_000) for number in range(3))
        answer = await listed(connection, OnlyLines(), "lines", lines, session)
        assert isinstance(answer, StreamingResponse)
        return answer

    with ExitStack() as ends:
        first = await told(ends)
        with ExitStack() as others, pytest.raises(ListenerLimit):
            await told(others)
        assert len([piece async for piece in first.body_iterator]) == 4
    with ExitStack() as ends:
        await told(ends)


async def test_a_long_list_is_made_as_it_is_taken() -> None:
    made, seats = 0, list[None]()

    async def take() -> None:
        seats.append(None)

    def lines() -> Iterator[Line]:
        nonlocal made
        for number in range(1_000):
            made += 1
            yield Line(number=number, text="x" * 10_000)

    held, session = HeldSessions(LimitSettings()), Conversation()
    session.data_bytes = held.limits.held_bytes
    connection, ends = asking(held), ExitStack()
    counted_by(connection.scope, take, ends)
    told = await listed(connection, Page(title="Long"), "lines", lines(), session)
    assert isinstance(told, StreamingResponse)
    await count_as_lasting(connection)
    assert len(seats) == 1
    assert "content-length" not in told.headers
    assert made < 20
    with pytest.raises(ListenerLimit):  # its session is held until it is told
        held.hold(connection, ANNA.name, 1)
    pieces = aiter(told.body_iterator)
    taken = [await anext(pieces) for _ in range(10)]
    assert made < 100
    taken += [piece async for piece in pieces]
    whole = json.loads(b"".join(piece for piece in taken if isinstance(piece, bytes)))
    assert [line["number"] for line in whole["lines"]] == list(range(1_000))
    assert whole["title"] == "Long"
    ends.close()  # with the request, although the answer is still there
    held.hold(connection, ANNA.name, 1)


def test_a_turn_that_still_changes_is_told_as_it_was() -> None:
    turns = [TurnState(TurnId(seq), "prompt", "Hi", SessionSettings(), 0) for seq in (2, 3)]
    turns[0].status = "completed"
    views = as_they_are(turns, lambda turn: (turn.turn, turn.answer))
    turns[1].parts.append("More.")
    assert list(views) == [(2, ""), (3, "")]
