"""A gateway that adds a document may die and a store may be lost: views show what is there."""

import asyncio
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

import anyio
import httpx
import pytest

from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.retrieval_service import RetrievalService
from schemas.settings.retrieval_settings import CollectionId, DocumentId
from tests.support.clients.document_client import BEES, Shelves
from tests.support.fixtures.document_fixtures import QUICK
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
LONG = "Bees fly over flowers. " * 10_000
"""Embedding it by e5 takes half a minute, and nobody waits for the end of that."""


def killed_in_mid_add(app: RunningApp, file: Path) -> tuple[str, str]:
    """The collection and the document of a gateway that got as far as embedding."""
    retrieval = app.settings.retrieval.model_copy(update={"embedding": "e5"})
    settings = app.settings.model_copy(update={"retrieval": retrieval}).model_dump_json()
    arguments = [
        sys.executable,
        "-m",
        "tests.deployments.native.documents.killed_gateway",
        settings,
        str(file),
    ]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        said = victim.stdout.readline().split()
        victim.kill()
    collection, document = said
    return collection, document


@pytest.mark.weights
async def test_a_document_whose_gateway_was_killed_is_told_to_be_interrupted(
    shelves: Shelves, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text(LONG)
    collection, document = await asyncio.to_thread(killed_in_mid_add, shelves.app, file)
    events = await shelves.heard_until(collection, "document.failed")
    assert events[-1]["data"]["code"] == "document.interrupted"
    [shown] = await shelves.documents(collection)
    assert (shown["id"], shown["state"], shown["view"]) == (document, "failed", None)
    assert await shelves.find(collection, "flowers") == []
    view = await shelves.add(collection, BEES, "long.txt", document_id=document)
    assert [one["view"] for one in await shelves.documents(collection)] == [view]


@pytest.mark.weights
async def test_a_gateway_that_closes_says_what_it_gave_up(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, retrieval={**QUICK, "embedding": "e5"})
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
            shelves = Shelves(app, client)
            collection = await shelves.create()
            async with anyio.create_task_group() as leaving:

                async def send() -> None:
                    await shelves.send(collection, LONG, "long.txt")

                leaving.start_soon(send)
                await shelves.heard_until(collection, "document.progressed")
                leaving.cancel_scope.cancel()
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
            shelves = Shelves(app, client)
            events = await shelves.heard_until(collection, "document.failed")
            assert events[-1]["data"]["code"] == "document.interrupted"
            [shown] = await shelves.documents(collection)
            assert (shown["state"], shown["code"]) == ("failed", "document.interrupted")


async def test_differences_between_log_and_store_are_put_right(shelves: Shelves) -> None:
    """As if a store had been lost, and a gateway killed after it had put a document into it."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None
    library = services.library
    view = await shelves.add(collection)
    await shelves.in_the_gateway(library.drop(collection))
    assert await shelves.documents(collection) == []
    assert (await shelves.events(collection))[-1]["type"] == "document.removed"
    await shelves.in_the_gateway(_added_unseen(library, collection, view["id"], BEES))
    [shown] = await shelves.documents(collection)
    assert (shown["state"], shown["view"]) == ("ready", view)
    assert (await shelves.events(collection))[-1]["type"] == "document.added"


async def _added_unseen(
    library: RetrievalService, collection: CollectionId, document: str, text: str
) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        upload = UploadedDocument(Path(file.name), "bees.md")
        async with aclosing(library.add(collection, DocumentId(document), upload)) as steps:
            async for _ in steps:
                pass
