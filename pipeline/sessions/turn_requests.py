"""What somebody wishes of a session, before it becomes a turn."""

from dataclasses import dataclass

from schemas.errors import InputTooLong
from schemas.errors.access_errors import Forbidden
from schemas.ids import TurnId
from schemas.native.client_commands import SettingsPatch
from schemas.settings import SessionSettings

_FIRST_WORDS = 40
"""Characters of an answer to a spoken question that are spoken at once, clause or not."""
_GUESTS = frozenset({"speak", "search", "collections"})
"""Settings that somebody else may choose for a turn of their own."""


@dataclass(frozen=True, slots=True)
class SpokenQuestion:
    """A question that was spoken."""

    text: str
    input: str
    utterances: tuple[int, ...]
    merges: TurnId | None = None


class Overtaken(Exception):
    """The turn that a question takes up is being answered already."""


def check_guest(wish: SettingsPatch, settings: SessionSettings) -> None:
    """Who takes part in somebody's session uses what is in it. Raises Forbidden."""
    beyond = wish.model_fields_set - _GUESTS
    if beyond or not set(wish.collections) <= set(settings.collections):
        name = min(beyond, default="collections")
        raise Forbidden(f"only who made the session may choose its {name}", field=f"settings.{name}")


def check_length(text: str, longest: int, *, field: str) -> None:
    if len(text) > longest:
        raise InputTooLong(f"{len(text)} characters are too many; at most {longest} are taken", field=field)


def conversational(settings: SessionSettings) -> SessionSettings:
    """Who has spoken waits for a voice: its first words matter more than their melody."""
    sentences = settings.sentences
    if sentences.first_threshold is not None:
        return settings
    sooner = sentences.model_copy(update={"first_threshold": _FIRST_WORDS})
    return settings.model_copy(update={"sentences": sooner})
