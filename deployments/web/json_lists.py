"""JSON answers with a list as long as a session: small ones at once, large ones while they are sent."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final, TypeVar

import anyio.to_thread
import orjson
from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from deployments.web.connection_limiter import count_as_lasting, hold_session
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState

V = TypeVar("V")
Shown = BaseModel | dict[str, Any]
_PIECE_BYTES: Final = 64 * 1024
_JSON: Final = "application/json"


async def listed(
    connection: HTTPConnection, about: Shown, name: str, items: Iterator[Shown], of: Conversation
) -> Response:
    """The JSON of `about` with these items as its field `name`.

    A thread reads `items`, piece by piece, as fast as the client takes them: a session has as much text as
    its log may have bytes. Raises what `count_as_lasting` and `hold_session` raise where there is more than
    a piece.
    """
    pieces = _pieces(_json(about, name), name, items)
    begun = await anyio.to_thread.run_sync(lambda: list(islice(pieces, 2)))
    if len(begun) == 1:
        return Response(begun[0], media_type=_JSON)
    await count_as_lasting(connection)
    answer = StreamingResponse(chain(begun, pieces), media_type=_JSON)
    await hold_session(connection, answer, of, made_bytes=sum(map(len, begun)))
    return answer


def as_they_are(turns: Iterable[TurnState], view: Callable[[TurnState], V]) -> Iterator[V]:
    """Views of the turns as they are now: those that are over, which stay so, are made one by one."""
    seen = [(turn, None if turn.over else view(turn)) for turn in turns]
    return (view(turn) if viewed is None else viewed for turn, viewed in seen)


def _pieces(about: bytes, name: str, items: Iterator[Shown]) -> Iterator[bytes]:
    made = [about[:-1], b"," if len(about) > 2 else b"", orjson.dumps(name), b":["]
    size, comma = 0, b""
    for item in items:
        text = _json(item)
        made += [comma, text]
        comma, size = b",", size + len(text)
        if size >= _PIECE_BYTES:
            yield b"".join(made)
            made, size = [], 0
    yield b"".join((*made, b"]}"))


def _json(shown: Shown, *without: str) -> bytes:
    if isinstance(shown, BaseModel):
        return shown.model_dump_json(exclude=set(without), by_alias=True).encode()
    return orjson.dumps(shown)
