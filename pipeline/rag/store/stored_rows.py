"""Rows of both stores: passages of a document to be written, and passages and vectors that were read."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.store.passage_store import NewDocument, StoredPassage
from pipeline.rag.store.vector_matrices import Block
from schemas.settings.retrieval_settings import DocumentView

PassageRow: TypeAlias = tuple[int, int, int | None, str, str, bytes, bytes | None]
"""Begin, end, page, headings as JSON, text, vector, and the vector of the second stage's model."""


def passage_rows(document: NewDocument) -> Iterator[tuple[PassageRow, Sequence[str]]]:
    """Each passage of a document, and its words."""
    judged = [None] * len(document.chunks) if document.judged is None else list(map(_packed, document.judged))
    for chunk, terms, vector, second in zip(
        document.chunks, document.terms, document.vectors, judged, strict=True
    ):
        headings = json.dumps(chunk.headings, ensure_ascii=False)
        yield (chunk.start, chunk.end, chunk.page, headings, chunk.text, _packed(vector), second), terms


def stored_passage(row: Sequence[Any]) -> StoredPassage:
    """Of number, collection, the document's view as JSON, page, headings, begin, end, text, the model and its
    vector, and the second stage's model and its vector.
    """
    chunk, collection, stored, page, headings, start, end, text, embedding, vector, judge, judged = row
    view = DocumentView.model_validate_json(stored)
    return StoredPassage(
        chunk=chunk,
        collection=collection,
        document=view.id,
        title=view.title,
        media_type=view.media_type,
        page=page,
        headings=tuple(json.loads(headings)),
        start=start,
        end=end,
        text=text,
        embedding=embedding,
        vector=_unpacked(vector),
        judge=judge,
        judged=None if judged is None else _unpacked(judged),
    )


def block_of(rows: Sequence[Sequence[Any]], dimensions: int) -> Block:
    """Of a passage's number, its document's number and its vector; at least one row."""
    chunks, owners = np.array([(chunk, owner) for chunk, owner, _ in rows], np.int64).T
    return Block(chunks, owners, _unpacked(b"".join(vector for _, _, vector in rows)).reshape(-1, dimensions))


def _packed(vector: Vectors) -> bytes:
    return vector.astype("<f4").tobytes()


def _unpacked(blob: bytes) -> Vectors:
    return np.frombuffer(blob, "<f4")
