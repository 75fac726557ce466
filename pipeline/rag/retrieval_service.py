"""Port of a library of documents, in this process or in a replica of its own."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.reading.extracted_text import ExtractedText
from schemas.settings.retrieval_settings import (
    CollectionId,
    CollectionView,
    DocumentId,
    DocumentProgress,
    DocumentView,
    Passage,
    SearchToolConfig,
)


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of a document's extracted text. Characters are Unicode code points."""

    at: int
    """Its first character."""
    text: str
    characters: int
    """Of the whole document."""
    page: int | None
    headings: tuple[str, ...]
    """Those of the character that was asked about."""


class RetrievalService(Protocol):
    """Collections of documents, and searches in them.

    Every method raises RetrievalUnavailable when the documents cannot be reached.
    """

    async def create(self, name: str, collection: CollectionId | None = None) -> CollectionView:
        """A new collection; the one of this id if it is there already."""
        ...

    def add(
        self, collection: CollectionId, document: DocumentId, upload: UploadedDocument
    ) -> AsyncGenerator[DocumentProgress, None]:
        """Add a document, telling how far it is; the last word is `ready`, with the document's view.

        Adding an id again replaces the document. Closing the generator early gives it up.
        Raises a DocumentError for a document that cannot be read, CollectionNotFound.
        """
        ...

    async def read(self, upload: UploadedDocument) -> ExtractedText:
        """The text of a document that is not kept. Raises a DocumentError."""
        ...

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]:
        """The best passages for a question, best first. Raises CollectionNotFound."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text, by the model of new collections; no text is a passage or a question."""
        ...

    async def views(self, collection: CollectionId) -> list[DocumentView]:
        """The documents that can be found, in the order of their adding. Raises CollectionNotFound."""
        ...

    async def text(
        self, collection: CollectionId, document: DocumentId, start: int, end: int, *, about: int
    ) -> TextPiece:
        """Characters `start` to `end` of the extracted text, as far as it goes, and where `about` stands.

        Raises DocumentNotFound.
        """
        ...

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        """Forget a document. False: there was none. Raises CollectionNotFound."""
        ...

    async def drop(self, collection: CollectionId) -> bool:
        """Forget a collection and all in it. False: there was none."""
        ...

    async def scrub(self) -> bool:
        """Remove what was deleted from the files, too. False: some of it may still be in them."""
        ...

    async def check(self) -> None:
        """Returns if the documents can be reached; loads nothing."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections."""
        ...
