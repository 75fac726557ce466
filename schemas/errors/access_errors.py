"""Errors about callers and their limits: branches of the tree in schemas/errors/__init__.py.

AccessError          Unauthenticated, CredentialInvalid, CredentialExpired, Forbidden, OriginRefused
LimitReached         SessionLimit, TurnLimit, CharacterLimit, AudioLimit, ListenerLimit,
                     HeardLimit, FileLimit, SearchLimit, UploadLimit, WriteLimit
StoredQuota          as many bytes in the log as there may be
"""

from schemas.errors import InputError, RhapsodeError, StateError


class AccessError(RhapsodeError):
    """The caller is not who may do this."""

    code = "auth.forbidden"


class Unauthenticated(AccessError):
    """This server wants to know who asks: send an API key or a token."""

    code = "auth.required"


class CredentialInvalid(Unauthenticated):
    """The key, token or share link is not good, or not any more."""

    code = "auth.invalid"


class CredentialExpired(Unauthenticated):
    code = "auth.expired"


class Forbidden(AccessError):
    """We know who asks, and they may not."""

    code = "auth.forbidden"


class OriginRefused(AccessError):
    """The request comes from a web page, a name or a machine that may not call this server."""

    code = "origin.refused"


class ShareNotFound(InputError):
    code = "share.not_found"


class LimitReached(StateError):
    """The principal has had as much as it may have in this time; `retry_after_s` says when there is more."""

    code = "limit.reached"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SessionLimit(LimitReached):
    code = "limit.sessions"


class TurnLimit(LimitReached):
    code = "limit.turns"


class CharacterLimit(LimitReached):
    code = "limit.characters"


class AudioLimit(LimitReached):
    code = "limit.audio"


class ListenerLimit(LimitReached):
    code = "limit.listeners"


class HeardLimit(LimitReached):
    code = "limit.heard"


class FileLimit(LimitReached):
    code = "limit.files"


class SearchLimit(LimitReached):
    code = "limit.searches"


class UploadLimit(LimitReached):
    code = "limit.uploads"


class WriteLimit(LimitReached):
    code = "limit.bytes"


class StoredQuota(StateError):
    """The principal has as many bytes in the log as it may; the message names its largest sessions."""

    code = "quota.stored"
