"""The embedded store: one SQLite file, with FTS5 for words and an exact search for vectors."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.store import sqlite_queries as queries
from pipeline.rag.store.passage_store import Hit, NewDocument, StoredPassage, Surroundings
from pipeline.rag.store.sqlite_tables import Connections
from pipeline.rag.store.vector_matrices import Block, Matrices, best
from schemas.settings.retrieval_settings import CollectionId, CollectionView, DocumentId, DocumentView

_BUSY_S: Final = 30.0
"""So long a writer waits for others."""
_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Vectors kept in memory: those of a quarter of a million passages. Larger collections are read each time."""
_COUNTED: Final = 1_000_000
"""Passages of which the number of words is kept in memory, at 16 bytes each."""

T = TypeVar("T")


class SqliteStore:
    """A PassageStore in a file, for any number of processes of one machine. The disk must be a local one."""

    def __init__(self, path: Path, *, threads: int, kept_bytes: int = _KEPT_BYTES) -> None:
        self._connections = Connections(path, threads, _BUSY_S)
        self._limiter = anyio.CapacityLimiter(threads)
        self._matrices = Matrices(kept_bytes)
        self._counted: OrderedDict[CollectionId, queries.Counted] = OrderedDict()
        """Figures of whole collections for the search by words; the least recently searched first."""
        self._counting = threading.Lock()

    async def create(
        self, collection: CollectionId, name: str, embedding: str, dimensions: int
    ) -> CollectionView:
        def create(db: Connection) -> CollectionView:
            queries.create(db, collection, name, embedding, dimensions)
            return queries.collection(db, collection)

        return await self._write(create)

    async def collection(self, collection: CollectionId) -> CollectionView:
        return await self._read(partial(queries.collection, which=collection))

    async def embedding(self, collection: CollectionId) -> str:
        return await self._read(partial(queries.embedding, which=collection))

    async def collections(self) -> list[CollectionView]:
        return await self._read(queries.collections)

    async def drop(self, collection: CollectionId) -> bool:
        return await self._forget(partial(queries.drop, which=collection))

    async def put(self, document: NewDocument) -> None:
        await self._write(partial(queries.put, document=document))

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        return await self._forget(partial(queries.remove, which=collection, document=document))

    async def scrub(self) -> bool:
        scrub = partial(self._connections.scrub, words=True)
        return await anyio.to_thread.run_sync(scrub, limiter=self._limiter)

    async def documents(self, collection: CollectionId) -> list[DocumentView]:
        def documents(db: Connection) -> list[DocumentView]:
            queries.embedding(db, collection)
            return queries.documents(db, collection)

        return await self._read(documents)

    async def text(self, collection: CollectionId, document: DocumentId) -> str:
        return await self._read(partial(queries.text, which=collection, document=document))

    async def around(self, collection: CollectionId, document: DocumentId, at: int) -> Surroundings:
        return await self._read(partial(queries.around, which=collection, document=document, at=at))

    async def nearest(self, question: Vectors, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        def nearest(db: Connection) -> list[Hit]:
            blocks = (block for one in dict.fromkeys(collections) for block in self._blocks(db, one))
            return best(question, blocks, k)

        return await self._read(nearest)

    async def matching(self, terms: Sequence[str], collections: Sequence[CollectionId], k: int) -> list[Hit]:
        if not terms:
            return []

        def matching(db: Connection) -> list[Hit]:
            counted = (self._counted_now(db, one) for one in dict.fromkeys(collections))
            return queries.matching(db, terms, [one for one in counted if one is not None], k)

        return await self._read(matching)

    async def passages(self, chunks: Sequence[int]) -> list[StoredPassage]:
        return await self._read(partial(queries.passages, chunks=chunks))

    async def aclose(self) -> None:
        await anyio.to_thread.run_sync(self._connections.close)

    def _counted_now(self, db: Connection, collection: CollectionId) -> queries.Counted | None:
        state = queries.state(db, collection)
        kept = self._counted.get(collection)
        if state is None or kept is None or kept.revision != state[0]:
            kept = queries.counted(db, collection)
        with self._counting:
            self._counted.pop(collection, None)
            if kept is not None:
                self._counted[collection] = kept
            while sum(len(one.chunks) for one in self._counted.values()) > _COUNTED:
                self._counted.popitem(last=False)
        return kept

    def _blocks(self, db: Connection, collection: CollectionId) -> Iterator[Block]:
        found = queries.state(db, collection)
        if found is None:
            return
        revision, dimensions = found
        documents = partial(queries.document_numbers, db, collection)
        if (kept := self._matrices.kept(collection, revision)) is not None:
            yield kept
        elif self._matrices.fits(queries.rows(db, collection), dimensions):
            load = partial(queries.load, db, dimensions=dimensions)
            yield self._matrices.at(collection, revision, dimensions, documents, load)
        else:
            yield from queries.blocks(db, documents(), dimensions)

    async def _read(self, ask: Callable[[Connection], T]) -> T:
        return await self._in_thread(self._connections.reading, ask)

    async def _write(self, ask: Callable[[Connection], T]) -> T:
        return await self._in_thread(self._connections.writing, ask)

    async def _forget(self, ask: Callable[[Connection], bool]) -> bool:
        """Deletes, then empties the write-ahead log, in which deleted text must not stay."""

        def work() -> bool:
            with self._connections.writing() as db:
                done = ask(db)
            self._connections.scrub(words=False)
            return done

        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    async def _in_thread(
        self,
        transaction: Callable[[], AbstractContextManager[Connection]],
        ask: Callable[[Connection], T],
    ) -> T:
        def work() -> T:
            with transaction() as db:
                return ask(db)

        return await anyio.to_thread.run_sync(work, limiter=self._limiter)
