"""Who asks: the identity behind a request, and what it may do."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["user", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose sessions, settings and limits a request is about."""

    name: str = ""
    """Empty on an open server, which asks nobody who they are."""
    roles: frozenset[Role] = field(default_factory=lambda: frozenset({"user"}))
    share: tuple[str, str] | None = None
    """Came by a share link: the one session it opens, and the share's name. Listening only."""

    @property
    def admin(self) -> bool:
        return "admin" in self.roles


NOBODY = Principal(roles=frozenset({"user", "admin"}))
"""Everybody, on an open server."""
