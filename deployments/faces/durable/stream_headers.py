"""Headers and query of Durable Streams: what a client may write there, and what it is answered."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from pipeline.apps.streams import NewStream
from pipeline.session_state.stream_state import NewAppend, ProducerBatch, instant_ms
from schemas.errors import RhapsodeError
from schemas.errors.stream_errors import (
    ProducerFenced,
    ProducerGap,
    StreamFinished,
    StreamInvalid,
    StreamReadOnly,
)
from schemas.ids import Seq

PREFIX: Final = "/v1/durable/"
EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""Headers of every answer: a browser takes it for what it is, shows it to no other site's page, and runs
nothing of it, although it comes from the page's own origin."""
_OFFSET: Final = re.compile(r"(\d{16})_(\d{16})")
_WHOLE: Final = re.compile(r"0|[1-9]\d{0,15}")
_LARGEST: Final = 2**53 - 1
_NAME_CHARS: Final = 512
_HEADER_CHARS: Final = 256
_CURSOR_EPOCH_S: Final = 1_728_432_000
"""2024-10-09, from which the protocol counts intervals ..."""
_CURSOR_S: Final = 20
"""... of so many seconds."""
_JITTER: Final = 180
"""A client that has the present cursor gets one that is up to so many intervals later."""


def offset_text(seq: Seq) -> str:
    """An offset as clients see it; they sort by it."""
    return f"{0:016d}_{seq:016d}"


def offset_seq(text: str, field: str = "offset") -> Seq:
    """Raises StreamInvalid for what is no offset of ours."""
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[1]):
        raise StreamInvalid(f"this is no offset of this stream: {text[:80]!r}", field=field)
    return Seq(int(found[2]))


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """Query of a read. `after` None: from the end on."""

    after: Seq | None
    live: str | None
    cursor: str

    @classmethod
    def of(cls, request: Request) -> "ReadQuery":
        """Raises StreamInvalid."""
        query = request.query_params
        offsets, live = query.getlist("offset"), query.get("live")
        if len(offsets) > 1:
            raise StreamInvalid("one offset, please", field="offset")
        if live not in (None, "long-poll", "sse"):
            raise StreamInvalid("live is long-poll or sse", field="live")
        if live is not None and not offsets:
            raise StreamInvalid("a live read says from where: offset", field="offset")
        [text] = offsets or ["-1"]
        after = None if text == "now" else Seq(0) if text == "-1" else offset_seq(text)
        return cls(after, live, query.get("cursor", ""))


def next_cursor(sent: str, now_ms: int) -> str:
    """`Stream-Cursor`: the present interval, or a later one than the client has."""
    now = (now_ms // 1_000 - _CURSOR_EPOCH_S) // _CURSOR_S
    had = int(sent) if _WHOLE.fullmatch(sent) else -1
    return str(now if had < now else had + 1 + secrets.randbelow(_JITTER))


def stream_name(text: str) -> str:
    """A stream's name, as the path or `Stream-Forked-From` says it. Raises StreamInvalid."""
    if not 0 < len(text) <= _NAME_CHARS or not text.isprintable():
        raise StreamInvalid(f"a name has 1 to {_NAME_CHARS} printable characters", field="stream")
    return text


def new_stream(headers: Headers, body: bytes) -> NewStream:
    """Raises StreamInvalid."""
    ttl, expires = headers.get("stream-ttl"), headers.get("stream-expires-at")
    if ttl is not None and expires is not None:
        raise StreamInvalid("Stream-TTL or Stream-Expires-At, not both", field="Stream-TTL")
    if expires is not None:
        try:
            instant_ms(_short(headers, "stream-expires-at"))
        except (ValueError, OverflowError) as error:
            raise StreamInvalid("not an RFC 3339 timestamp", field="Stream-Expires-At") from error
    source = headers.get("stream-forked-from", "")
    at, beyond = headers.get("stream-fork-offset"), headers.get("stream-fork-sub-offset")
    if (at is not None or beyond is not None) and not source:
        raise StreamInvalid("a fork says from which stream it is", field="Stream-Forked-From")
    further = 0 if beyond is None else _whole(beyond, "Stream-Fork-Sub-Offset")
    if further and at is None:
        raise StreamInvalid("a sub-offset is behind an offset", field="Stream-Fork-Offset")
    return NewStream(
        content_type=_short(headers, "content-type").strip().lower(),
        body=body,
        closed=_closes(headers),
        ttl_s=None if ttl is None else _whole(ttl, "Stream-TTL"),
        expires_at=expires,
        forked_from=_source_name(source) if source else "",
        fork_offset=None if at is None else offset_seq(at, "Stream-Fork-Offset"),
        fork_sub_offset=further,
    )


def _source_name(address: str) -> str:
    try:
        path = urlsplit(address).path
    except ValueError as error:
        raise StreamInvalid("this is no address of a stream", field="Stream-Forked-From") from error
    return stream_name(unquote(path).removeprefix(PREFIX).lstrip("/"))


def new_append(headers: Headers, body: bytes) -> NewAppend:
    """Raises StreamInvalid."""
    closes, kind = _closes(headers), _short(headers, "content-type").strip().lower()
    if not body and not closes:
        raise StreamInvalid("an append has bytes")
    if body and not kind:
        raise StreamInvalid("an append says its content type", field="Content-Type")
    writer_seq = _short(headers, "stream-seq")
    return NewAppend(body, kind, closes, _producer(headers), writer_seq)


def _producer(headers: Headers) -> ProducerBatch | None:
    given = [headers.get(name) for name in ("producer-id", "producer-epoch", "producer-seq")]
    if given == [None, None, None]:
        return None
    name, epoch, number = given
    if not name or epoch is None or number is None:
        raise StreamInvalid("Producer-Id, Producer-Epoch and Producer-Seq go together", field="Producer-Id")
    return ProducerBatch(
        _short(headers, "producer-id"), _whole(epoch, "Producer-Epoch"), _whole(number, "Producer-Seq")
    )


def _closes(headers: Headers) -> bool:
    return headers.get("stream-closed", "").lower() == "true"


def _short(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    if len(value) > _HEADER_CHARS:
        raise StreamInvalid(f"a header has at most {_HEADER_CHARS} characters", field=name)
    return value


def _whole(text: str, field: str) -> int:
    if not _WHOLE.fullmatch(text) or int(text) > _LARGEST:
        raise StreamInvalid("a whole number, without sign or leading zeros", field=field)
    return int(text)


def headers_of_error(error: RhapsodeError) -> Mapping[str, str]:
    """Headers of a refusal, beside its status."""
    match error:
        case StreamFinished():
            return {"Stream-Closed": "true", "Stream-Next-Offset": offset_text(Seq(error.tail))}
        case ProducerFenced():
            return {"Producer-Epoch": str(error.epoch)}
        case ProducerGap():
            return {
                "Producer-Expected-Seq": str(error.expected),
                "Producer-Received-Seq": str(error.received),
            }
        case StreamReadOnly():
            return {"Allow": "GET, HEAD"}
    return {}
