"""The identifiers that travel through the whole system."""

import hashlib
import os
import time
import uuid
from typing import Final, NewType

SessionId = NewType("SessionId", str)
"""A session's UUIDv7 in its canonical 36-character form. Never reused; carries its creation date."""

Seq = NewType("Seq", int)
"""Place of an event in its session: 1, 2, 3, ... without gaps. Zero means "before the first"."""

TurnId = NewType("TurnId", int)
"""A turn is named by the `Seq` of its `turn.requested` event. Zero means "about no turn"."""

NO_TURN = TurnId(0)
NOWHERE = SessionId("00000000-0000-0000-0000-000000000000")
"""In place of a session that a copy has no part in."""
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_session_id(now_ms: int | None = None) -> SessionId:
    """A fresh UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then 74 random bits."""
    millis = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return _version_7(millis, os.urandom(10))


def new_id(now_ms: int | None = None) -> str:
    """A fresh UUIDv7 for something that is no session, such as a document or a collection."""
    return str(new_session_id(now_ms))


def derived_session_id(millis: int, *seed: str) -> SessionId:
    """The id of the session that follows from `seed`: whoever works it out gets the same one."""
    digest = hashlib.blake2b("\x00".join(seed).encode(), digest_size=10, person=b"rhapsode.session")
    return _version_7(millis, digest.digest())


def _version_7(millis: int, rest: bytes) -> SessionId:
    value = (millis & (1 << 48) - 1) << 80 | int.from_bytes(rest, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return SessionId(str(uuid.UUID(int=value)))


_YEAR_10000_MS: Final = 253_402_300_800_000
"""A later creation has no date: a session's place in the archive is named by it."""


def parse_session_id(text: str) -> SessionId | None:
    """The canonical id, or None where `text` is not a UUID that we could have issued."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    ours = value.version == 7 and str(value) == text and value.int >> 80 < _YEAR_10000_MS
    return SessionId(text) if ours else None


def is_digits(text: str, most: int = 15) -> bool:
    """Whether a client's text is a number: ASCII digits alone, one at least and `most` at most."""
    return text.isascii() and text.isdigit() and len(text) <= most


def created_ms(session: SessionId) -> int:
    """When the session was created, in milliseconds since the epoch, read from its id."""
    return uuid.UUID(session).int >> 80


def generation(millis: int) -> str:
    """A session's generation mark: its creation time in base 36. Part of every public cursor."""
    digits = ""
    while millis:
        millis, digit = divmod(millis, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"
