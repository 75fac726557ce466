"""Principal: the identity behind a request, and what it may do."""

from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["user", "admin"]
USER: Final[frozenset[Role]] = frozenset({"user"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Identity of a request: the user whose sessions, settings and limits it concerns."""

    name: str
    """Empty on an open server, which asks nobody who they are."""
    roles: frozenset[Role] = USER
    share: tuple[str, str] | None = None
    """Came by a share link: the one session it opens, and the share's name. Listening only."""
    key: str = ""
    """Id of the API key that vouches for them; empty where none does."""
    token: bool = False
    """Came with a token, not with the key itself."""
    secret: str = ""
    """Came with a client secret of this name: for Realtime connections only."""
    expires_ms: int | None = None
    """When what they came with ends, in milliseconds since the epoch, where no key vouches for them."""

    @property
    def admin(self) -> bool:
        return "admin" in self.roles

    def commands(self, whose: str) -> bool:
        """Whether they may change what belongs to `whose`: their own, or anything on an open server."""
        return self.share is None and self.name in ("", whose)


NOBODY: Final = Principal("", frozenset({"user", "admin"}))
"""Principal of all requests to an open server."""
