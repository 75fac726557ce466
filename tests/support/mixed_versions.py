"""A pytest plugin (`-p tests.support.mixed_versions`): every second event is stored in an older shape.

Version 0 of each event wraps its payload. With the plugin any test on a Redis log also shows
that each fold, projection, metric, translator and archive reader that it reaches is given today's shape.
"""

from itertools import count
from typing import Any

import msgpack

from pipeline.eventlog.redis import codec
from pipeline.eventlog.redis.codec import Row
from schemas.events.recorded import NewEvent
from schemas.events.upcasting import UPCASTERS, VERSIONS

_written = count()
_encode = codec.encode


def _unwrapped(data: dict[str, Any]) -> dict[str, Any]:
    payload: dict[str, Any] = data["older"]
    return payload


def _older(new: NewEvent) -> Row:
    kind, v, ts, turn, cause, data, audio, trigger = _encode(new)
    if next(_written) % 2:
        v, data = "0", msgpack.packb({"older": msgpack.unpackb(data)})
    return kind, v, ts, turn, cause, data, audio, trigger


def pytest_configure() -> None:
    for kind in VERSIONS:
        UPCASTERS[kind, 0] = _unwrapped
    codec.encode = _older
