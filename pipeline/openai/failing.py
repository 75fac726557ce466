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

_KINDS: Final[tuple[type[RhapsodeError], ...]] = (
    *(EngineBusy, EngineDead, LogUnavailable, SessionFull),
    *(UnknownModel, UnknownProvider, UnknownVoice),
)
_KNOWN: Final = {kind.code: kind for kind in _KINDS} | {"owner.lost": EngineDead}


def failure(code: str, message: str) -> RhapsodeError:
    return _KNOWN.get(code, EngineFailed)(message)
