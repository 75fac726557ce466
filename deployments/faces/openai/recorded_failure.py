"""From a failure that was recorded back to the error that it was."""

from typing import Final

from schemas.errors import (
    ContextTooLong,
    ElementNotSpoken,
    EngineBusy,
    EngineDead,
    EngineFailed,
    LanguageNotSpoken,
    LogUnavailable,
    RhapsodeError,
    SchemaInvalid,
    SessionFull,
    UnknownModel,
    UnknownProvider,
    UnknownVoice,
)

_KINDS: Final[tuple[type[RhapsodeError], ...]] = (
    *(EngineBusy, EngineDead, LanguageNotSpoken, ElementNotSpoken, LogUnavailable, SessionFull),
    *(UnknownModel, UnknownProvider, UnknownVoice, SchemaInvalid, ContextTooLong),
)
_KNOWN: Final = {kind.code: kind for kind in _KINDS} | {"owner.lost": EngineDead}


def failure(code: str, message: str, *, form: str | None = None) -> RhapsodeError:
    """`form`: the field with the schema that the answer is held to."""
    kind = _KNOWN.get(code, EngineFailed)
    fields: dict[type[RhapsodeError], str | None] = {
        SchemaInvalid: form,
        ContextTooLong: "messages",
        LanguageNotSpoken: "input",
        ElementNotSpoken: "input",
    }
    return kind(message, field=fields.get(kind))
