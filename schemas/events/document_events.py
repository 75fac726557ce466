"""Events about a collection of documents, recorded in its own session."""

from typing import Literal

from schemas.events.event_model import EventModel as _Event
from schemas.settings.retrieval_settings import DocumentView


class DocumentProgressed(_Event):
    """How far the adding of a document is: told when it has come a good deal further, not at every step."""

    type: Literal["document.progressed"] = "document.progressed"
    v: Literal[1] = 1
    document: str
    name: str
    """The file's."""
    state: Literal["waiting", "reading", "embedding"]
    done: float
    """The share of the whole work that is done, from 0 to 1."""
    bytes: int = 0
    """The file's size."""


class DocumentAdded(_Event):
    """The document can be found, in place of the one of the same id."""

    type: Literal["document.added"] = "document.added"
    v: Literal[1] = 1
    view: DocumentView


class DocumentFailed(_Event):
    """The document could not be added; an older one of the same id is there as before."""

    type: Literal["document.failed"] = "document.failed"
    v: Literal[1] = 1
    document: str
    code: str
    message: str


class DocumentRemoved(_Event):
    """Nothing is left of the document; if it was being added, it will not be."""

    type: Literal["document.removed"] = "document.removed"
    v: Literal[1] = 1
    document: str
