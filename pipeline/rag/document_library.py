"""Documents in and out: from an uploaded file to passages that can be found."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import numpy as np

from pipeline.engines.weights.prepared_folders import sha256
from pipeline.rag.chunking import DocumentChunk, chunks
from pipeline.rag.embeddings.embedder import Embedder, Vectors
from pipeline.rag.embeddings.embedding_models import EmbeddingModels
from pipeline.rag.keywords import Language, language, terms
from pipeline.rag.passage_search import Search
from pipeline.rag.reading.document_reader import DocumentReader, ReadDocument, UploadedDocument
from pipeline.rag.reading.extracted_text import ExtractedText
from pipeline.rag.retrieval_service import TextPiece
from pipeline.rag.store.passage_store import NewDocument, PassageStore
from pipeline.rag.store.sqlite_store import SqliteStore
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentEmpty
from schemas.ids import NOWHERE, new_id
from schemas.settings.retrieval_settings import (
    ChunkSettings,
    CollectionId,
    CollectionView,
    DocumentId,
    DocumentProgress,
    DocumentView,
    Passage,
    RetrievalSettings,
    SearchToolConfig,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is cut into passages."""

    read: ReadDocument
    name: str
    sha256: str
    title: str
    language: Language
    chunks: Sequence[DocumentChunk]

    def texts(self, begin: int = 0, end: int | None = None) -> list[str]:
        """Text that is embedded for each passage: itself, below its title and its headings.

        A passage seldom repeats what it is about, but whoever asks will name it.
        """
        return [
            "\n".join([" > ".join(dict.fromkeys([self.title, *chunk.headings])), chunk.text])
            for chunk in self.chunks[begin:end]
        ]

    def terms(self) -> list[list[str]]:
        """The words of each passage, as the index keeps them."""
        return [terms(text, self.language) for text in self.texts()]

    def view(self, collection: CollectionId, document: DocumentId) -> DocumentView:
        return DocumentView(
            id=document,
            collection=collection,
            title=self.title,
            media_type=self.read.media_type,
            name=self.name,
            language=self.language,
            characters=len(self.read.extracted.text),
            pages=self.read.extracted.pages,
            chunks=len(self.chunks),
            sha256=self.sha256,
        )


def prepared(read: ReadDocument, upload: UploadedDocument, settings: ChunkSettings) -> Prepared:
    """Blocking: a long document takes a second."""
    cut = chunks(read.extracted, settings)
    if not cut:
        raise DocumentEmpty("There is no text in the document.")
    name = PurePath(upload.name).name or "document"
    title = read.extracted.title or PurePath(name).stem
    return Prepared(read, name, sha256(upload.path), title, language(read.extracted.text), cut)


_AT_ONCE: Final = 16
"""Passages that are embedded between two reports of progress."""
_READ: Final = 0.2
_EMBEDDED: Final = 0.99
"""The shares of the work that are done when the text is there, and when everything is embedded."""

T = TypeVar("T")


class Library:
    """A Librarian in this process."""

    def __init__(self, settings: RetrievalSettings, store: PassageStore, models: EmbeddingModels) -> None:
        self.store = store
        self._settings = settings
        self._models = models
        self._reader = DocumentReader(settings.limits, settings.readers)
        self._cutting = anyio.CapacityLimiter(settings.readers)
        self._search = Search(store, models, wide_k=settings.wide_k, judge=settings.judge)

    async def create(self, name: str, collection: CollectionId | None = None) -> CollectionView:
        """A new collection; the one of this id if it is there already."""
        model = await self._models.get(self._settings.embedding)
        return await self.store.create(
            collection or CollectionId(new_id()), name, model.name, model.dimensions
        )

    async def add(
        self, collection: CollectionId, document: DocumentId, upload: UploadedDocument
    ) -> AsyncGenerator[DocumentProgress, None]:
        """Add a document, telling how far it is; the last word is `ready`, with the document's view.

        Adding an id again replaces the document. Closing the generator early leaves everything as it was.
        Raises a DocumentError for a document that cannot be read, CollectionNotFound, RetrievalUnavailable.
        """
        yield DocumentProgress(document=document, state="waiting", done=0.0)
        model = await self._models.named((await self.store.collection(collection)).embedding)
        judge = await self._judge(model)
        yield DocumentProgress(document=document, state="reading", done=0.0)
        read = await self._reader.read(upload)
        ready = await self._in_thread(partial(prepared, read, upload, self._settings.chunks))
        new = await self._in_thread(partial(_new, ready, collection, document, model, judge))
        for begin in range(0, len(ready.chunks), _AT_ONCE):
            done = _READ + (_EMBEDDED - _READ) * begin / len(ready.chunks)
            yield DocumentProgress(document=document, state="embedding", done=done)
            texts = ready.texts(begin, begin + _AT_ONCE)
            new.vectors[begin : begin + _AT_ONCE] = await self._models.passages(model, texts)
            if judge is not None and new.judged is not None:
                new.judged[begin : begin + _AT_ONCE] = await self._models.passages(judge, texts)
        yield DocumentProgress(document=document, state="embedding", done=_EMBEDDED)
        await self.store.put(new)
        yield DocumentProgress(document=document, state="ready", done=1.0, view=new.view)

    async def _judge(self, model: Embedder) -> Embedder | None:
        """The second model, where it is another."""
        if self._settings.judge is None:
            return None
        judge = await self._models.get(self._settings.judge)
        return None if judge.name == model.name else judge

    async def read(self, upload: UploadedDocument) -> ExtractedText:
        """The text of a document that is not kept. Raises a DocumentError."""
        return (await self._reader.read(upload)).extracted

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]:
        """The best passages for a question, best first."""
        return await self._search.find(question, collections, config)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text, by the model of new collections."""
        model = await self._models.get(self._settings.embedding)
        return await self._models.alike(model, texts)

    async def views(self, collection: CollectionId) -> list[DocumentView]:
        """The documents that can be found, in the order of their adding."""
        return await self.store.documents(collection)

    async def text(
        self, collection: CollectionId, document: DocumentId, start: int, end: int, *, about: int
    ) -> TextPiece:
        """A part of a document's text, and where `about` stands."""
        whole = await self.store.text(collection, document)
        place = await self.store.around(collection, document, about)
        at = min(max(start, 0), len(whole))
        return TextPiece(at, whole[at : max(end, at)], len(whole), place.page, place.headings)

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        """Forget a document."""
        return await self.store.remove(collection, document)

    async def drop(self, collection: CollectionId) -> bool:
        """Forget a collection."""
        return await self.store.drop(collection)

    async def scrub(self) -> bool:
        """Remove what was deleted from the store's files, too."""
        return await self.store.scrub()

    async def check(self) -> None:
        """Raises RetrievalUnavailable if the store cannot be used; loads nothing."""
        with suppress(CollectionNotFound):
            await self.store.embedding(CollectionId(NOWHERE))

    async def aclose(self) -> None:
        await self.store.aclose()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._cutting)


def _new(
    ready: Prepared, collection: CollectionId, document: DocumentId, model: Embedder, judge: Embedder | None
) -> NewDocument:
    """Passages with all but the vectors, which are zeros yet."""
    count = len(ready.chunks)
    return NewDocument(
        view=ready.view(collection, document),
        text=ready.read.extracted.text,
        chunks=ready.chunks,
        terms=ready.terms(),
        vectors=np.zeros((count, model.dimensions), np.float32),
        judge="" if judge is None else judge.name,
        judged=None if judge is None else np.zeros((count, judge.dimensions), np.float32),
    )


FILE: Final = "documents.sqlite"
"""In the folder `home`, beside the embedded log."""


def open_library(settings: RetrievalSettings, home: Path) -> Library:
    """Nothing is opened, loaded or made before it is needed. Close it by `aclose`."""
    return Library(settings, _store(settings, home), EmbeddingModels(settings.threads))


def _store(settings: RetrievalSettings, home: Path) -> PassageStore:
    if settings.store is None:
        return SqliteStore(home.expanduser() / FILE, threads=settings.threads)
    from pipeline.rag.store.postgres_store import PostgresStore

    return PostgresStore(settings.store.get_secret_value(), connections=settings.threads)
