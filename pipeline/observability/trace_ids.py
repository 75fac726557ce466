"""Ids of traces and spans that follow from what they are about, so that nobody has to hand them over."""

import hashlib
from typing import Final

_SAMPLED_BITS: Final = 64
"""Those at the low end of a trace's id decide, as in OpenTelemetry's own sampler by ratio."""


def trace_id(session: str, what: int | str) -> int:
    """The one trace of a turn (its number), or of something else in a session (its name)."""
    return _hash(f"trace {session} {what}", 16)


def turn_span_id(session: str, turn: int, epoch: int = 0) -> int:
    """The span of the turn's first owner; with an epoch that of an owner who has gone on with it."""
    return _hash(f"turn {session} {turn} {epoch}", 8)


def is_sampled(trace: int, ratio: float) -> bool:
    """The same answer in every process that is asked with the same ratio; more of them with a larger one."""
    return (trace & ((1 << _SAMPLED_BITS) - 1)) < round(ratio * (1 << _SAMPLED_BITS))


def _hash(text: str, size: int) -> int:
    """Never zero, which would be no id."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big") or 1
