"""Requests and answers about collections and documents over HTTP."""

from typing import Annotated

from pydantic import Field

from schemas.document_models import FrozenModel, RequestModel
from schemas.native.client_commands import Readable, Said
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    DocumentState,
    DocumentView,
    Passage,
    Strategy,
)

Name = Annotated[Said, Field(max_length=200)]


class CreateCollection(RequestModel):
    name: Name
    thread: Annotated[Readable, Field(max_length=64)] | None = None
    """A thread of the caller's, whose files the collection is for: it is deleted with the thread, which may
    search it or not."""


class RenameCollection(RequestModel):
    name: Name


class SearchCollection(RequestModel):
    question: Annotated[Said, Field(max_length=20_000)]
    strategy: Strategy = "two_stage"
    top_k: Annotated[int, Field(ge=1, le=50)] = 4
    """So many passages at most."""


class Upload(RequestModel):
    """The parts of an upload's form beside its file."""

    document_id: Annotated[Readable, Field(max_length=64)] | None = None
    """A UUIDv7; the document of this id is replaced. None: a new one."""
    name: Annotated[Readable, Field(max_length=300)] | None = None
    """Name of the file, if the form has none."""


class CollectionInfo(FrozenModel):
    """A collection as it is now. Its id is also that of the session whose events tell of it."""

    id: CollectionId
    name: str
    thread: str | None = None
    """The thread whose files it holds, and with which it is deleted; None: it is there by itself."""
    created_ms: int
    documents: int
    """Those that can be found."""
    unfinished: int
    """Those that are being added."""
    bytes: int
    """The uploaded files of both together."""


class CollectionList(FrozenModel):
    collections: tuple[CollectionInfo, ...]
    next: str | None = None
    """The `before` of the page that follows."""


class DocumentInfo(FrozenModel):
    """A document, and how far it is."""

    id: DocumentId
    name: str
    """The file's."""
    state: DocumentState
    """`failed`: its last adding came to nothing."""
    done: float
    bytes: int
    view: DocumentView | None = None
    """Version that searches find; while it is replaced, and if that fails, the old one."""
    code: str | None = None
    message: str | None = None
    """Why it failed."""


class DocumentList(FrozenModel):
    documents: tuple[DocumentInfo, ...]


class Excerpt(FrozenModel):
    """A part of a document's text, with what is around it. Characters are Unicode code points."""

    document: DocumentId
    title: str
    name: str
    page: int | None
    """The page, from 1, on which `start` is; None where the kind has no pages."""
    headings: tuple[str, ...]
    """Those above `start`, from the outermost on."""
    start: int
    end: int
    """The part that was asked for, as far as the text goes."""
    at: int
    """Position in the document at which `text` begins."""
    text: str
    characters: int
    """Of the whole document."""


class DocumentText(FrozenModel):
    """The text of a document that is not kept."""

    name: str
    """The file's."""
    title: str | None
    pages: int | None
    """None where the kind has no pages."""
    text: str


class FoundPassages(FrozenModel):
    passages: tuple[Passage, ...]
