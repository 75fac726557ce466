"""The store on a PostgreSQL server, for gateways on several machines."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

import asyncpg

from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.store.passage_store import Hit, NewDocument, StoredPassage, Surroundings, unusable
from pipeline.rag.store.stored_rows import block_of, passage_rows, stored_passage
from pipeline.rag.store.vector_matrices import Block, Matrices, best, joined
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentNotFound
from schemas.settings.retrieval_settings import CollectionId, CollectionView, DocumentId, DocumentView

SCHEMA: Final = "rhapsode_documents_1"
"""Its last number is the version: another one would have tables of its own."""

TABLES: Final = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.collections (
    number bigserial PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    embedding text NOT NULL,
    dimensions integer NOT NULL,
    revision bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.documents (
    number bigserial PRIMARY KEY,
    collection bigint NOT NULL REFERENCES {SCHEMA}.collections ON DELETE CASCADE,
    id text NOT NULL,
    view text NOT NULL,
    text text NOT NULL,
    judge text NOT NULL,
    UNIQUE (collection, id)
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.chunks (
    number bigserial PRIMARY KEY,
    document bigint NOT NULL REFERENCES {SCHEMA}.documents ON DELETE CASCADE,
    starts integer NOT NULL,
    ends integer NOT NULL,
    page integer,
    headings text NOT NULL,
    text text NOT NULL,
    vector bytea NOT NULL,
    judged bytea,
    words integer NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_of_document ON {SCHEMA}.chunks (document);
CREATE TABLE IF NOT EXISTS {SCHEMA}.words (
    term text NOT NULL,
    chunk bigint NOT NULL REFERENCES {SCHEMA}.chunks ON DELETE CASCADE,
    times integer NOT NULL,
    PRIMARY KEY (term, chunk)
);
CREATE INDEX IF NOT EXISTS words_of_chunk ON {SCHEMA}.words (chunk);
"""

COLLECTIONS: Final = f"""
SELECT c.id, c.name, c.embedding, count(DISTINCT d.number) AS documents, count(p.number) AS chunks
FROM {SCHEMA}.collections c
LEFT JOIN {SCHEMA}.documents d ON d.collection = c.number
LEFT JOIN {SCHEMA}.chunks p ON p.document = d.number
"""

MATCHING: Final = f"""
WITH place AS (
    SELECT p.number, p.words FROM {SCHEMA}.chunks p
    JOIN {SCHEMA}.documents d ON d.number = p.document
    JOIN {SCHEMA}.collections c ON c.number = d.collection WHERE c.id = ANY($2)
), whole AS (
    SELECT count(*)::float8 AS passages, greatest(avg(words), 1)::float8 AS length FROM place
), found AS (
    SELECT w.term, w.chunk, w.times, place.words FROM {SCHEMA}.words w
    JOIN place ON place.number = w.chunk WHERE w.term = ANY($1)
), rare AS (
    SELECT term, ln(1 + (passages - count(*) + 0.5) / (count(*) + 0.5)) AS weight
    FROM found, whole GROUP BY term, passages
)
SELECT chunk, sum(weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * found.words / length))) AS score
FROM found JOIN rare USING (term), whole GROUP BY chunk ORDER BY score DESC, chunk LIMIT $3
"""
"""BM25 with k1 = 1.2 and b = 0.75, as FTS5 has it; counted over the collections that are searched."""

PASSAGES: Final = f"""
SELECT p.number, c.id AS collection, d.view, p.page, p.headings, p.starts, p.ends, p.text, c.embedding,
    p.vector, d.judge, p.judged
FROM {SCHEMA}.chunks p
JOIN {SCHEMA}.documents d ON d.number = p.document
JOIN {SCHEMA}.collections c ON c.number = d.collection
WHERE p.number = ANY($1)
"""

AROUND: Final = f"""
SELECT p.page, p.headings FROM {SCHEMA}.chunks p
JOIN {SCHEMA}.documents d ON d.number = p.document
JOIN {SCHEMA}.collections c ON c.number = d.collection
WHERE c.id = $1 AND d.id = $2 AND p.starts <= $3 ORDER BY p.starts DESC LIMIT 1
"""


_KEPT_BYTES: Final = 256 * 1024 * 1024
_AT_ONCE: Final = 4_096
_CONNECT_S: Final = 10.0
_COMMAND_S: Final = 60.0
_MAKING: Final = 7_215_400_213
"""An advisory lock: only one makes the tables, since even IF NOT EXISTS fails where two do it at once."""

Connection: TypeAlias = Any  # asyncpg has no types
_Row: TypeAlias = tuple[Any, ...]
_OF_COLLECTION: Final = f"FROM {SCHEMA}.documents d JOIN {SCHEMA}.collections c ON c.number = d.collection"


class PostgresStore:
    """A PassageStore on a server. Vectors are compared here, as by the embedded store."""

    def __init__(self, url: str, *, connections: int) -> None:
        self._url = url
        self._connections = connections
        self._matrices = Matrices(_KEPT_BYTES)
        self._opening = asyncio.Lock()
        self._opened: asyncpg.Pool | None = None

    async def create(
        self, collection: CollectionId, name: str, embedding: str, dimensions: int
    ) -> CollectionView:
        async with self._writing() as db:
            await db.execute(
                f"INSERT INTO {SCHEMA}.collections (id, name, embedding, dimensions) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT DO NOTHING",
                *(collection, name, embedding, dimensions),
            )
            return await _collection(db, collection)

    async def collection(self, collection: CollectionId) -> CollectionView:
        async with self._reading() as db:
            return await _collection(db, collection)

    async def embedding(self, collection: CollectionId) -> str:
        async with self._reading() as db:
            return str((await _state(db, collection))["embedding"])

    async def collections(self) -> list[CollectionView]:
        async with self._reading() as db:
            rows = await db.fetch(f"{COLLECTIONS} GROUP BY c.number ORDER BY c.number")
        return [CollectionView(**row) for row in rows]

    async def drop(self, collection: CollectionId) -> bool:
        async with self._writing() as db:
            done = await db.execute(f"DELETE FROM {SCHEMA}.collections WHERE id = $1", collection)
        return bool(done == "DELETE 1")

    async def put(self, document: NewDocument) -> None:
        async with self._writing() as db:
            number = await _touched(db, document.view.collection)
            await _forget(db, number, document.view.id)
            await _add(db, number, document)

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        async with self._writing() as db:
            return await _forget(db, await _touched(db, collection), document)

    async def scrub(self) -> bool:
        """The server overwrites what was deleted after a VACUUM, when it needs the place, and keeps a WAL."""
        return False

    async def documents(self, collection: CollectionId) -> list[DocumentView]:
        async with self._reading() as db:
            await _state(db, collection)
            rows = await db.fetch(
                f"SELECT d.view {_OF_COLLECTION} WHERE c.id = $1 ORDER BY d.number", collection
            )
        return [DocumentView.model_validate_json(row["view"]) for row in rows]

    async def text(self, collection: CollectionId, document: DocumentId) -> str:
        async with self._reading() as db:
            found = await db.fetchval(
                f"SELECT d.text {_OF_COLLECTION} WHERE c.id = $1 AND d.id = $2", collection, document
            )
        if found is None:
            raise DocumentNotFound(f"There is no document {document} in this collection.")
        return str(found)

    async def around(self, collection: CollectionId, document: DocumentId, at: int) -> Surroundings:
        async with self._reading() as db:
            row = await db.fetchrow(AROUND, collection, document, at)
        return (
            Surroundings() if row is None else Surroundings(row["page"], tuple(json.loads(row["headings"])))
        )

    async def nearest(self, question: Vectors, collections: Sequence[CollectionId], k: int) -> list[Hit]:
        async with self._reading() as db:
            blocks = [await self._block(db, one) for one in dict.fromkeys(collections)]
        return await asyncio.to_thread(best, question, [block for block in blocks if block is not None], k)

    async def matching(self, terms: Sequence[str], collections: Sequence[CollectionId], k: int) -> list[Hit]:
        async with self._reading() as db:
            rows = await db.fetch(MATCHING, list(terms), list(collections), k)
        return [Hit(row["chunk"], row["score"]) for row in rows]

    async def passages(self, chunks: Sequence[int]) -> list[StoredPassage]:
        async with self._reading() as db:
            rows = await db.fetch(PASSAGES, list(chunks))
        there = {row["number"]: stored_passage(row) for row in rows}
        return [there[chunk] for chunk in chunks if chunk in there]

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def _block(self, db: Connection, collection: CollectionId) -> Block | None:
        try:
            state = await _state(db, collection)
        except CollectionNotFound:
            return None
        revision, dimensions = state["revision"], state["dimensions"]
        if (kept := self._matrices.kept(collection, revision)) is not None:
            return kept
        rows = await db.fetch(f"SELECT d.number {_OF_COLLECTION} WHERE c.id = $1", collection)
        there = [row["number"] for row in rows]
        old, missing = await asyncio.to_thread(self._matrices.without, collection, there, dimensions)
        block = await asyncio.to_thread(joined, [old, *await _vectors(db, missing, dimensions)], dimensions)
        self._matrices.keep(collection, revision, block)
        return block

    def _reading(self) -> AbstractAsyncContextManager[Connection]:
        """One state of the store for the whole block, whatever others write."""
        return self._transaction(isolation="repeatable_read", readonly=True)

    def _writing(self) -> AbstractAsyncContextManager[Connection]:
        """All of the block, or nothing."""
        return self._transaction(isolation="read_committed")

    @asynccontextmanager
    async def _transaction(self, **how: Any) -> AsyncGenerator[Connection, None]:
        try:
            pool = await self._pool()
            async with pool.acquire() as db, db.transaction(**how):
                yield db
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise unusable(error) from error

    async def _pool(self) -> asyncpg.Pool:
        async with self._opening:
            if self._opened is None:
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._connections,
                    timeout=_CONNECT_S,
                    command_timeout=_COMMAND_S,
                )
                async with pool.acquire() as db, db.transaction():
                    await db.execute("SELECT pg_advisory_xact_lock($1)", _MAKING)
                    await db.execute(TABLES)
                self._opened = pool
            return self._opened


async def _collection(db: Connection, which: CollectionId) -> CollectionView:
    row = await db.fetchrow(f"{COLLECTIONS} WHERE c.id = $1 GROUP BY c.number", which)
    if row is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return CollectionView(**row)


async def _state(db: Connection, which: CollectionId) -> asyncpg.Record:
    row = await db.fetchrow(
        f"SELECT embedding, revision, dimensions FROM {SCHEMA}.collections WHERE id = $1", which
    )
    if row is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return row


async def _touched(db: Connection, which: CollectionId) -> int:
    """The collection's number, after noting that it changes; others who change it wait for this one."""
    number = await db.fetchval(
        f"UPDATE {SCHEMA}.collections SET revision = revision + 1 WHERE id = $1 RETURNING number", which
    )
    if number is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return int(number)


async def _forget(db: Connection, number: int, document: DocumentId) -> bool:
    done = await db.execute(
        f"DELETE FROM {SCHEMA}.documents WHERE collection = $1 AND id = $2", number, document
    )
    return bool(done == "DELETE 1")


async def _add(db: Connection, number: int, document: NewDocument) -> None:
    place = await db.fetchval(
        f"INSERT INTO {SCHEMA}.documents (collection, id, view, text, judge) VALUES ($1, $2, $3, $4, $5) "
        "RETURNING number",
        *(number, document.view.id, document.view.model_dump_json(), document.text, document.judge),
    )
    numbers = await db.fetch(
        "SELECT nextval($1::regclass) AS number FROM generate_series(1, $2)",
        *(f"{SCHEMA}.chunks_number_seq", len(document.chunks)),
    )
    chunks, words = await asyncio.to_thread(_rows, document, place, [row["number"] for row in numbers])
    await db.copy_records_to_table("chunks", schema_name=SCHEMA, records=chunks)
    await db.copy_records_to_table("words", schema_name=SCHEMA, records=words)


def _rows(document: NewDocument, place: int, numbers: Sequence[int]) -> tuple[list[_Row], list[_Row]]:
    """Of the passages and of their words. Blocking: a long document has a million words."""
    chunks, words = list[_Row](), list[_Row]()
    for number, (row, terms) in zip(numbers, passage_rows(document), strict=True):
        chunks.append((number, place, *row, len(terms)))
        words += [(term, number, times) for term, times in Counter(terms).items()]
    return chunks, words


async def _vectors(db: Connection, documents: Collection[int], dimensions: int) -> list[Block]:
    """Read some thousand at a time."""
    if not documents:
        return []
    found = []
    query = f"SELECT number, document, vector FROM {SCHEMA}.chunks WHERE document = ANY($1)"
    rows: list[Any] = []
    async for row in db.cursor(query, list(documents), prefetch=_AT_ONCE):
        rows.append(row)
        if len(rows) == _AT_ONCE:
            found.append(block_of(rows, dimensions))
            rows = []
    return [*found, block_of(rows, dimensions)] if rows else found
