"""Events about conversations as their people see them: titles, who takes part, and characters."""

from typing import Literal

from schemas.events.event_model import EventModel as _Event
from schemas.languages import LanguageChoice


class SessionRenamed(_Event):
    """The session is called this from now on."""

    type: Literal["session.renamed"] = "session.renamed"
    v: Literal[1] = 1
    title: str
    by: Literal["user", "first_words"] = "user"
    """`first_words`: nobody gave it a title, so it got the beginning of its first question."""


class MemberAdded(_Event):
    """A member was added: it may listen to the session and ask in it, beside its owner."""

    type: Literal["member.added"] = "member.added"
    v: Literal[1] = 1
    principal: str
    """Empty in a copy: nobody takes part in a fork or an import because they did in what it comes from."""


class MemberRemoved(_Event):
    type: Literal["member.removed"] = "member.removed"
    v: Literal[1] = 1
    principal: str


class CharacterSaved(_Event):
    """A user's character is this from now on; recorded in the user's own session."""

    type: Literal["character.saved"] = "character.saved"
    v: Literal[1] = 1
    character: str
    name: str
    persona: str = ""
    """Personality and manner of speaking, for the language model."""
    voice: str | None = None
    """None: the user's usual one."""
    language: LanguageChoice | None = None
    collections: tuple[str, ...] = ()
    """Collections that it knows."""


class CharacterDeleted(_Event):
    type: Literal["character.deleted"] = "character.deleted"
    v: Literal[1] = 1
    character: str
