"""Answers about tokens and share links."""

from datetime import datetime

from schemas.document_models import ClosedModel


class TokenMade(ClosedModel):
    """For a browser: carries the caller's API key without being it."""

    token: str
    expires_in: int
    """Seconds."""
    renewal: str
    """Good for the next token, at `POST /v1/tokens/renewal` and nowhere else. Never in an address."""
    renewal_expires_in: int
    """Seconds."""


class ShareMade(ClosedModel):
    """A new share link; nobody can be told its token again."""

    share_id: str
    token: str
    url: str
    """The page in listening mode."""
    expires_at: datetime | None


class ShareView(ClosedModel):
    share_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None


class ShareList(ClosedModel):
    """The links that are good now."""

    shares: tuple[ShareView, ...]
