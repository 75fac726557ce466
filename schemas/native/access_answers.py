"""Answers about tokens and share links."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TokenMade(_Wire):
    """For a browser: carries the caller's API key without being it."""

    token: str
    expires_in: int
    """Seconds."""
    renewal: str
    """Good for the next token, at `POST /v1/tokens/renewal` and nowhere else. Never in an address."""
    renewal_expires_in: int
    """Seconds."""


class ShareMade(_Wire):
    """A new share link; nobody can be told its token again."""

    share_id: str
    token: str
    url: str
    """The page in listening mode."""
    expires_at: datetime | None


class ShareView(_Wire):
    share_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None


class ShareList(_Wire):
    """The links that are good now."""

    shares: tuple[ShareView, ...]
