"""Writers of a store that are killed while they write."""

import asyncio
import subprocess
import sys

import numpy as np

from pipeline.rag.embeddings.embedder import unit
from pipeline.rag.store.passage_store import PassageStore
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId
from tests.contracts.passage_store import BEES, DIMENSIONS, document

_PASSAGES = 40
_WRITER = """
import asyncio, sys
from pathlib import Path
from pipeline.rag.store.postgres_store import PostgresStore
from pipeline.rag.store.sqlite_store import SqliteStore
from tests.contracts.passage_store import BEES, document

async def write(which, passages):
    store = {store}
    for number in range(10_000):
        await store.put(document(which, [(f"bees {{number}} {{part}}", BEES) for part in range(passages)]))
        print(number, flush=True)

asyncio.run(write(sys.argv[1], int(sys.argv[2])))
"""


async def whole_documents_after_kills(store: PassageStore, opened: str) -> None:
    """Kill writers, which open the store by the expression `opened`, and look at what is left each time."""
    which = CollectionId(new_id())
    await store.create(which, "bees", "model", DIMENSIONS)
    for kill in (1, 2, 3):
        told = await asyncio.to_thread(_killed_after, kill * 2, _WRITER.format(store=opened), which)
        view = await store.collection(which)
        assert view.documents == len(await store.documents(which)) >= told
        assert view.chunks == _PASSAGES * view.documents
        question = unit(np.array([BEES], np.float32))
        assert len(await store.nearest(question, [which], 100_000)) == view.chunks
        assert len(await store.matching(["bees"], [which], 100_000)) == view.chunks
        await store.put(document(which, [(f"more bees {part}", BEES) for part in range(_PASSAGES)]))


def _killed_after(documents: int, code: str, which: CollectionId) -> int:
    """Kill a writer while it writes its next document; returns how many it said were there."""
    arguments = [sys.executable, "-c", code, which, str(_PASSAGES)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(documents)]
        writer.kill()
        told += writer.stdout.readlines()
    assert all(told), "The writer ended before it was killed."
    return len(told)
