"""What is not supported, and from a failure that was recorded back to the error that it was."""

from typing import ClassVar, Final

from schemas.errors import (
    EngineBusy,
    EngineDead,
    EngineFailed,
    InputError,
    LogUnavailable,
    RhapsodeError,
    SessionFull,
    UnknownModel,
    UnknownProvider,
    UnknownVoice,
)



class UnsupportedParameter(InputError):
    """OpenAI knows the field, and what is asked here does not."""

    code: ClassVar[str] = "unsupported_parameter"


class UnsupportedValue(InputError):
    code: ClassVar[str] = "unsupported_value"


_KNOWN: Final[dict[str, type[RhapsodeError]]] = {
    kind.code: kind
    for kind in (EngineBusy, EngineDead, LogUnavailable, SessionFull, UnknownModel, UnknownProvider, UnknownVoice)
} | {"owner.lost": EngineDead}


def failure(code: str, message: str) -> RhapsodeError:
    return _KNOWN.get(code, EngineFailed)(message)
