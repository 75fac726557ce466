"""Queries of the embedded store. Every function works inside its caller's transaction."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.rag.store.passage_store import Hit, NewDocument, StoredPassage, Surroundings
from pipeline.rag.store.stored_rows import block_of, passage_rows, stored_passage
from pipeline.rag.store.vector_matrices import Block, joined
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentNotFound
from schemas.settings.retrieval_settings import CollectionId, CollectionView, DocumentId, DocumentView

_AT_ONCE: Final = 4_096
_TOKEN: Final = re.compile(r"[^\W_]+")
_COLLECTIONS: Final = """
    SELECT c.id, c.name, c.embedding, count(DISTINCT d.number), count(p.number)
    FROM collections c
    LEFT JOIN documents d ON d.collection = c.number
    LEFT JOIN chunks p ON p.document = d.number
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """The passages of a collection at one of its revisions, and how many words each has."""

    revision: int
    chunks: NDArray[np.int64]
    words: NDArray[np.float64]


def create(db: Connection, collection: CollectionId, name: str, embedding: str, dimensions: int) -> None:
    db.execute(
        "INSERT INTO collections (id, name, embedding, dimensions) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (collection, name, embedding, dimensions),
    )


def collection(db: Connection, which: CollectionId) -> CollectionView:
    row = db.execute(f"{_COLLECTIONS} WHERE c.id = ? GROUP BY c.number", (which,)).fetchone()
    if row is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return _collection(row)


def embedding(db: Connection, which: CollectionId) -> str:
    row = db.execute("SELECT embedding FROM collections WHERE id = ?", (which,)).fetchone()
    if row is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return str(row[0])


def collections(db: Connection) -> list[CollectionView]:
    return [_collection(row) for row in db.execute(f"{_COLLECTIONS} GROUP BY c.number ORDER BY c.number")]


def drop(db: Connection, which: CollectionId) -> bool:
    row = db.execute("SELECT number FROM collections WHERE id = ?", (which,)).fetchone()
    if row is None:
        return False
    for (document,) in db.execute("SELECT number FROM documents WHERE collection = ?", row).fetchall():
        _forget(db, document)
    db.execute("DELETE FROM collections WHERE number = ?", row)
    return True


def put(db: Connection, document: NewDocument) -> None:
    number = _touched(db, document.view.collection)
    _replace(db, number, document.view.id)
    (place,) = db.execute(
        "INSERT INTO documents (collection, id, view, text, judge) VALUES (?, ?, ?, ?, ?) RETURNING number",
        (number, document.view.id, document.view.model_dump_json(), document.text, document.judge),
    ).fetchone()
    for row, terms in passage_rows(document):
        cursor = db.execute(
            'INSERT INTO chunks (document, "start", "end", page, headings, text, vector, judged) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (place, *row),
        )
        db.execute("INSERT INTO words (rowid, terms) VALUES (?, ?)", (cursor.lastrowid, " ".join(terms)))


def remove(db: Connection, which: CollectionId, document: DocumentId) -> bool:
    return _replace(db, _touched(db, which), document)


def documents(db: Connection, which: CollectionId) -> list[DocumentView]:
    rows = db.execute(
        "SELECT d.view FROM documents d JOIN collections c ON c.number = d.collection "
        "WHERE c.id = ? ORDER BY d.number",
        (which,),
    )
    return [DocumentView.model_validate_json(view) for (view,) in rows]


def text(db: Connection, which: CollectionId, document: DocumentId) -> str:
    row = db.execute(
        "SELECT d.text FROM documents d JOIN collections c ON c.number = d.collection "
        "WHERE c.id = ? AND d.id = ?",
        (which, document),
    ).fetchone()
    if row is None:
        raise DocumentNotFound(f"There is no document {document} in this collection.")
    return str(row[0])


def around(db: Connection, which: CollectionId, document: DocumentId, at: int) -> Surroundings:
    row = db.execute(
        "SELECT p.page, p.headings FROM chunks p JOIN documents d ON d.number = p.document "
        "JOIN collections c ON c.number = d.collection "
        'WHERE c.id = ? AND d.id = ? AND p."start" <= ? ORDER BY p."start" DESC LIMIT 1',
        (which, document, at),
    ).fetchone()
    return Surroundings() if row is None else Surroundings(row[0], tuple(json.loads(row[1])))


def state(db: Connection, which: CollectionId) -> tuple[int, int] | None:
    """The collection's revision and how long its vectors are; None if there is no such collection."""
    row = db.execute("SELECT revision, dimensions FROM collections WHERE id = ?", (which,)).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def document_numbers(db: Connection, which: CollectionId) -> list[int]:
    rows = db.execute(
        "SELECT d.number FROM documents d JOIN collections c ON c.number = d.collection WHERE c.id = ?",
        (which,),
    )
    return [number for (number,) in rows]


def rows(db: Connection, which: CollectionId) -> int:
    (count,) = db.execute(
        "SELECT count(*) FROM chunks p JOIN documents d ON d.number = p.document "
        "JOIN collections c ON c.number = d.collection WHERE c.id = ?",
        (which,),
    ).fetchone()
    return int(count)


def blocks(db: Connection, numbers: Collection[int], dimensions: int) -> Iterator[Block]:
    """The vectors of these documents, some thousand at a time."""
    cursor = db.execute(
        "SELECT number, document, vector FROM chunks WHERE document IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(numbers)),),
    )
    while found := cursor.fetchmany(_AT_ONCE):
        yield block_of(found, dimensions)


def load(db: Connection, numbers: Collection[int], dimensions: int) -> Block:
    return joined(blocks(db, numbers, dimensions), dimensions)


def counted(db: Connection, which: CollectionId) -> Counted | None:
    """How many words each passage of the collection has; None if there is no such collection."""
    row = db.execute("SELECT number, revision FROM collections WHERE id = ?", (which,)).fetchone()
    if row is None:
        return None
    number, revision = row
    sizes = db.execute(
        "SELECT z.id, z.sz FROM documents d JOIN chunks p ON p.document = d.number "
        "JOIN words_docsize z ON z.id = p.number WHERE d.collection = ? ORDER BY z.id",
        (number,),
    ).fetchall()
    chunks = np.array([chunk for chunk, _ in sizes], np.int64)
    return Counted(int(revision), chunks, np.array([_varint(size) for _, size in sizes], np.float64))


def matching(db: Connection, terms: Sequence[str], within: Sequence[Counted], k: int) -> list[Hit]:
    """BM25 (k1 = 1.2, b = 0.75), counted over these passages alone: what others keep changes nothing."""
    chunks = np.concatenate([np.zeros(0, np.int64), *(one.chunks for one in within)])
    lengths = np.concatenate([np.zeros(0), *(one.words for one in within)])
    if not len(chunks):
        return []
    order = np.argsort(chunks)
    chunks, lengths = chunks[order], lengths[order]
    scores = np.zeros(len(chunks))
    usual = max(float(lengths.mean()), 1.0)
    for token in dict.fromkeys(token for term in terms for token in _tokens(term)):
        found = db.execute(
            "SELECT doc, count(*) FROM instances WHERE term = ? GROUP BY doc", (token,)
        ).fetchall()
        who, times = np.array(found, np.int64).reshape(-1, 2).T
        places = np.searchsorted(chunks, who).clip(max=len(chunks) - 1)
        ours = chunks[places] == who
        at, often = places[ours], times[ours]
        weight = np.log(1 + (len(chunks) - len(at) + 0.5) / (len(at) + 0.5))
        scores[at] += weight * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * lengths[at] / usual))
    (hits,) = np.nonzero(scores)
    best = hits[np.lexsort((chunks[hits], -scores[hits]))][:k]
    return [Hit(int(chunks[place]), float(scores[place])) for place in best]


def _tokens(term: str) -> list[str]:
    """A term as FTS5's unicode61 keeps it: letters and digits, each folded to one other at most."""
    folded = "".join(one if len(lower := one.casefold()) > 1 else lower for one in term)
    return _TOKEN.findall(folded)


def _varint(size: bytes) -> int:
    """How many words a passage has, as FTS5 notes it: seven bits a byte, the highest first."""
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def passages(db: Connection, chunks: Sequence[int]) -> list[StoredPassage]:
    found = db.execute(
        'SELECT p.number, c.id, d.view, p.page, p.headings, p."start", p."end", p.text, '
        "c.embedding, p.vector, d.judge, p.judged "
        "FROM chunks p JOIN documents d ON d.number = p.document "
        "JOIN collections c ON c.number = d.collection "
        "WHERE p.number IN (SELECT value FROM json_each(?))",
        (json.dumps(list(chunks)),),
    )
    there = {row[0]: stored_passage(row) for row in found}
    return [there[chunk] for chunk in chunks if chunk in there]


def _touched(db: Connection, which: CollectionId) -> int:
    """The collection's number, after noting that it changes."""
    row = db.execute(
        "UPDATE collections SET revision = revision + 1 WHERE id = ? RETURNING number", (which,)
    ).fetchone()
    if row is None:
        raise CollectionNotFound(f"There is no collection {which}.")
    return int(row[0])


def _replace(db: Connection, number: int, document: DocumentId) -> bool:
    row = db.execute(
        "SELECT number FROM documents WHERE collection = ? AND id = ?", (number, document)
    ).fetchone()
    if row is None:
        return False
    _forget(db, row[0])
    return True


def _forget(db: Connection, document: int) -> None:
    db.execute("DELETE FROM words WHERE rowid IN (SELECT number FROM chunks WHERE document = ?)", (document,))
    db.execute("DELETE FROM documents WHERE number = ?", (document,))


def _collection(row: Sequence[Any]) -> CollectionView:
    which, name, embedding, count, chunks = row
    return CollectionView(id=which, name=name, embedding=embedding, documents=count, chunks=chunks)
