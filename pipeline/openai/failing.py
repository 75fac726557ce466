"""From a failure that was recorded back to the error that it was."""

from typing import Final

from schemas.errors import (
    EngineBusy,
    EngineDead,
    EngineFailed,
    LogUnavailable,
    RhapsodeError,
    SessionFull,
    UnknownModel,
    UnknownProvider,
    UnknownVoice,
)

_KNOWN: Final[dict[str, type[RhapsodeError]]] = {
    kind.code: kind
    for kind in (EngineBusy, EngineDead, LogUnavailable, SessionFull, UnknownModel, UnknownProvider, UnknownVoice)
} | {"owner.lost": EngineDead}


def failure(code: str, message: str) -> RhapsodeError:
    return _KNOWN.get(code, EngineFailed)(message)
