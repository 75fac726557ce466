"""The wire format of every event stream (WHATWG HTML, "Server-sent events")."""

from collections.abc import Iterator
from typing import Any, Final

HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
NOTHING_MORE: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "Nothing comes after the `Last-Event-ID` that was sent."}
}
RETRY: Final = b"retry: 1000\n"
"""Milliseconds that a client waits before it connects again. It goes before the first event of a stream."""
QUIET: Final = b": still here\n"
"""Keeps a connection alive. Without an empty line, which stock clients that know an id take for an event."""


def written(data: bytes, *, name: str = "", cursor: str = "") -> bytes:
    """One event. `id` is the last line: some clients take it as soon as they read it, and those that are cut
    before the end of the event must not believe that they have it."""
    kind = b"event: %s\n" % name.encode() if name else b""
    ident = b"id: %s\n" % cursor.encode() if cursor else b""
    return b"%sdata: %s\n%s\n" % (kind, data, ident)


def in_pieces(data: bytes, cursor: str) -> Iterator[bytes]:
    """The event in pieces of 64 kB: what a client does not take would be in the server's buffer as well. The
    data of a long one is not copied: its listeners share it."""
    if len(data) <= _PIECE:
        yield written(data, cursor=cursor)
        return
    yield b"data: "
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]
    yield b"\nid: %s\n\n" % cursor.encode()


_PIECE: Final = 64 << 10
