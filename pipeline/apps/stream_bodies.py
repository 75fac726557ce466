"""Bodies of durable streams: JSON messages lie in the log as they came, with commas between them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import anyio.to_thread
import orjson

from pipeline.session_state.stream_state import media_type
from schemas.bounds import VALUES, too_many_in
from schemas.errors import BodyTooLarge
from schemas.errors.stream_errors import StreamInvalid

JSON: Final = "application/json"
_AT_ONCE: Final = 64 * 1024
"""Bytes that are read on the loop; more of them would keep others waiting."""
_BLANK: Final = b" \t\r\n"
_PART: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
"""Strings, brackets and commas of a JSON text."""


def is_json(content_type: str) -> bool:
    """Whether a stream of this type keeps messages apart."""
    return media_type(content_type) == JSON


async def message_of(body: bytes, content_type: str, *, append: bool = False) -> bytes:
    """The bytes that one append adds: an array's elements without its brackets, anything else as it is.

    Raises StreamInvalid for what is no JSON, and with `append` for an empty array; BodyTooLarge for more
    values than a request may have.
    """
    if not body or not is_json(content_type):
        return body
    value = _read(body) if len(body) <= _AT_ONCE else await anyio.to_thread.run_sync(_read, body)
    if isinstance(value, list):
        if append and not value:
            raise StreamInvalid("an empty array appends nothing")
        body = body.strip(_BLANK)[1:-1]
    return body.strip(_BLANK)


def _read(body: bytes) -> Any:
    if too_many_in(body):
        raise BodyTooLarge(f"the body has more than {VALUES} values", field="body")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise StreamInvalid("the body is not JSON") from error


def joined(messages: Sequence[bytes], content_type: str) -> bytes:
    """The body that carries these appends."""
    return b"[%s]" % b",".join(messages) if is_json(content_type) else b"".join(messages)


def split_at(message: bytes, count: int, content_type: str) -> bytes:
    """The first `count` bytes of an append, or the first `count` of its JSON messages.

    Raises StreamInvalid where there are fewer.
    """
    ends = list(_ends(message)) if is_json(content_type) else range(1, len(message) + 1)
    if count > len(ends):
        raise StreamInvalid("the append behind the offset is shorter", field="Stream-Fork-Sub-Offset")
    return message[: ends[count - 1] if count else 0].rstrip(_BLANK if is_json(content_type) else b"")


def _ends(message: bytes) -> Iterator[int]:
    """Ends of the values that commas separate, with the blanks behind them; however deep they are nested."""
    depth = 0
    for part in _PART.finditer(message):
        if part[0] in b"[{":
            depth += 1
        elif part[0] in b"]}":
            depth -= 1
        elif part[0] == b"," and not depth:
            yield part.start()
    if message:
        yield len(message)
