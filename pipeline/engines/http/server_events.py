"""Parses what providers send: one JSON document, or server-sent events that may be cut anywhere."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

MOST_BYTES: Final = 16 << 20
"""Of one answer. A server that sends more has lost its way."""
_LONGEST_LINE: Final = 4 << 20
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"
_MOST_LINES: Final = 64
"""Of one event."""

Document = dict[str, Any]
DONE: Final[Document] = {}
"""Stands for "[DONE]"; told from an empty document by `is`."""


class BadAnswer(Exception):
    """The server's answer makes no sense; says why, to follow its name."""


async def whole(parts: AsyncGenerator[bytes, None]) -> bytes:
    """A body of bounded length."""
    body = bytearray()
    async with aclosing(parts):
        async for part in parts:
            body += part
            if len(body) > MOST_BYTES:
                raise BadAnswer("does not come to an end")
    return bytes(body)


async def documents(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[Document, None]:
    """The data of each event as JSON, `DONE` for "[DONE]"."""
    reader, total = EventReader(), 0
    async with aclosing(parts):
        async for part in parts:
            total += len(part)
            if total > MOST_BYTES:
                raise BadAnswer("does not come to an end")
            for document in reader.feed(part):
                yield document
    for document in reader.finish():
        yield document


def parsed(data: bytes) -> Document:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("sent something that is no JSON") from error
    if not isinstance(document, dict):
        raise BadAnswer("sent something that is no JSON object")
    return document


class EventReader:
    """Reads the documents of events from bytes; how these are cut on their way changes nothing. Pure.

    A document may take several lines, as the standard says. It is there with its last line: not every server
    sends the blank line that should follow.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._after_return = False
        self._first = True
        self._data: list[bytes] = []

    def feed(self, part: bytes) -> list[Document]:
        """Returns the documents that `part` completes. Raises BadAnswer for a part that is no JSON."""
        if self._after_return and part.startswith(b"\n"):
            part = part[1:]  # the second half of a line end
            self._after_return = False
        if not part:
            return []
        self._after_return = part.endswith(b"\r")
        *ends, rest = _LINE_END.split(part)
        found: list[Document] = []
        for end in ends:
            found += self._take(bytes(self._line + end))
            self._line.clear()
        self._line += rest
        if len(self._line) > _LONGEST_LINE:
            raise BadAnswer("sent a line that does not come to an end")
        return found

    def finish(self) -> list[Document]:
        """Returns the document of a last line that lacks only its end; a line that was cut gives none."""
        return self._take(bytes(self._line)) if self._line else []

    def _take(self, line: bytes) -> list[Document]:
        if self._first:
            self._first, line = False, line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line.removeprefix(b"data:").strip())
            return self._complete()
        if not line and (lines := self._data):
            self._data = []
            if any(lines):
                parsed(b"\n".join(lines))  # raises: whole it would not have waited for the blank line
        return []  # names, numbers and comments say nothing that the data does not

    def _complete(self) -> list[Document]:
        if self._data == [b"[DONE]"]:
            self._data = []
            return [DONE]
        if len(self._data) > _MOST_LINES:
            raise BadAnswer("sent an event that does not come to an end")
        try:
            document = parsed(b"\n".join(self._data))
        except BadAnswer:
            return []
        self._data = []
        return [document]
