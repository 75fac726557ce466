"""Errors about documents and what is looked up in them: branches of the tree in schemas/errors/__init__.py.

DocumentError (InputError)        DocumentUnsupported, DocumentUnreadable, DocumentEncrypted, DocumentEmpty,
                                  DocumentTooLarge, DocumentTooSlow
CollectionNotFound, DocumentNotFound (InputError)
QuotaReached (StateError)         CollectionQuota, DocumentQuota, BytesQuota
DocumentBusy (StateError)         it is being added just now
DocumentInterrupted               whoever was adding it is gone
RetrievalUnavailable              the store of the documents
"""

from typing import Final

from schemas.errors import InputError, RhapsodeError, StateError


class DocumentError(InputError):
    """This document cannot be taken in; the same bytes will fail again."""

    code = "document.invalid"


class DocumentUnsupported(DocumentError):
    """It is none of the kinds that are read here."""

    code = "document.unsupported"


class DocumentUnreadable(DocumentError):
    """It says that it is of a kind that is read here, but it is damaged, or something else."""

    code = "document.unreadable"


class DocumentEncrypted(DocumentError):
    """It opens only with a password."""

    code = "document.encrypted"


class DocumentEmpty(DocumentError):
    """There is no text in it: nothing at all, or only pictures."""

    code = "document.empty"


class DocumentTooLarge(DocumentError):
    """It, what it unpacks to, its text, or the memory that reading it takes is over the limit."""

    code = "document.too_large"


class DocumentTooSlow(DocumentError):
    """Reading it took longer than documents may take."""

    code = "document.too_slow"


class CollectionNotFound(InputError):
    code = "collection.not_found"


class DocumentNotFound(InputError):
    code = "document.not_found"


class DocumentBusy(StateError):
    """It is being added; wait for the end of that, or remove it."""

    code = "document.busy"
    retryable = True


class DocumentInterrupted(RhapsodeError):
    """The server that was adding it stopped; upload it again."""

    code = "document.interrupted"
    retryable = True


class QuotaReached(StateError):
    """There is as much as there may be; remove something first."""

    code = "quota.reached"


class CollectionQuota(QuotaReached):
    code = "quota.collections"


class DocumentQuota(QuotaReached):
    code = "quota.documents"


class BytesQuota(QuotaReached):
    code = "quota.bytes"


class RetrievalUnavailable(RhapsodeError):
    """The store of the documents cannot be used now."""

    code = "retrieval.unavailable"
    retryable = True


_OVER_THE_WIRE: Final[tuple[type[RhapsodeError], ...]] = (
    *DocumentError.__subclasses__(),
    *(CollectionNotFound, DocumentNotFound, DocumentInterrupted, RetrievalUnavailable),
)
BY_CODE: Final = {kind.code: kind for kind in _OVER_THE_WIRE}
"""Errors of documents by their codes, for events and the retrieval replica."""
