"""Several clients change one collection at the same time, or one client does so twice."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from deployments.container import GatewayContainer
from pipeline.apps.collection_state import CollectionState
from pipeline.apps.ingest_jobs import CollectionServices, IngestJobs, NewUpload
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.rag.retrieval_service import RetrievalService
from pipeline.session_state.session_views import Views
from pipeline.stt.inputs.input_leases import DOCUMENTS, InputLeases
from schemas.errors.retrieval_errors import DocumentBusy
from schemas.ids import new_id
from schemas.settings.retrieval_settings import CollectionId, DocumentId
from tests.support.clients.document_client import BEES, Shelves
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio
LONG = "Bees fly over the meadow. " * 10_000


class Late:
    """A librarian who begins with a document when they are told to."""

    def __init__(self, retrieval: RetrievalService) -> None:
        self._retrieval = retrieval
        self.asked, self.told = anyio.Event(), anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._retrieval, name)

    async def create(self, name: str, collection: CollectionId) -> Any:
        self.asked.set()
        await self.told.wait()
        return await self._retrieval.create(name, collection)


@asynccontextmanager
async def another_gateway(services: GatewayContainer, retrieval: Any) -> AsyncGenerator[IngestJobs, None]:
    assert isinstance(services.log, TieredLog)
    hot = services.log.hot
    assert isinstance(hot, RedisEventLog)
    async with Recorder(services.log) as recorder:
        shelf = CollectionServices(retrieval, Views(services.log, CollectionState), recorder)
        held = InputLeases(hot, DOCUMENTS)
        # It runs beside the application, and must not seem to have died where both stood still.
        patient = services.settings.retrieval.model_copy(update={"interrupted_s": 60.0})
        async with IngestJobs(shelf, held, services.clock, patient) as additions:
            yield additions


def upload(principal: str = "") -> NewUpload:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # the addition closes it
    file.write(BEES.encode())
    file.flush()
    return NewUpload(
        file, Path(file.name), name="bees.md", declared=None, size=len(BEES), principal=principal
    )


async def test_a_step_told_after_the_removal_does_not_bring_the_document_back(shelves: Shelves) -> None:
    """It was listed as being read for ever, counted among its owner's, and could not be added again."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None

    async def removed_meanwhile() -> None:
        late, document = Late(services.library), DocumentId(new_id())
        async with another_gateway(services, late) as additions:
            await additions.begin(collection, document, upload())
            await late.asked.wait()
            await services.collections.remove(collection, document)
            late.told.set()
            await eventually(lambda: not additions.in_hand)

    await shelves.in_the_gateway(removed_meanwhile())
    told = [event["type"] for event in await shelves.events(collection)]
    assert told[-3:] == ["document.progressed", "document.removed", "document.progressed"]
    assert await shelves.documents(collection) == []


async def test_long_documents_of_one_principal_keep_no_other_waiting(shelves: Shelves) -> None:
    """A document of 40,000 passages is embedded for ten minutes."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None

    async def added_meanwhile() -> None:
        late = Late(services.library)
        async with another_gateway(services, late) as additions:
            for _ in range(4):
                await additions.begin(collection, DocumentId(new_id()), upload("alice"))
            await late.asked.wait()
            late.asked = anyio.Event()
            await additions.begin(collection, DocumentId(new_id()), upload("bob"))
            with anyio.fail_after(20):
                await late.asked.wait()
            late.told.set()
            await eventually(lambda: not additions.in_hand)

    await shelves.in_the_gateway(added_meanwhile())
    assert {one["state"] for one in await shelves.documents(collection)} == {"ready"}


async def test_a_document_does_not_outlive_its_collection(shelves: Shelves) -> None:
    """Another client deletes the collection just before a gateway begins with a document of it."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None

    async def deleted_meanwhile() -> bool:
        late = Late(services.library)
        async with another_gateway(services, late) as additions:
            await additions.begin(collection, DocumentId(new_id()), upload())
            await late.asked.wait()
            await services.collections.delete(collection)
            late.told.set()
            await eventually(lambda: not additions.in_hand)
        return await services.library.drop(collection)

    assert not await shelves.in_the_gateway(deleted_meanwhile())


async def test_a_document_that_is_being_added_is_not_added_a_second_time(shelves: Shelves) -> None:
    collection, document = await shelves.create(), new_id()
    async with anyio.create_task_group() as both:

        async def first() -> None:
            await shelves.add(collection, LONG, "long.txt", document_id=document)

        both.start_soon(first)
        await shelves.heard_until(collection, "document.progressed")
        second = await shelves.send(collection, BEES, document_id=document)
        assert (second.status_code, second.json()["code"]) == (409, "document.busy")
        assert second.json()["field"] == "document_id"
    [shown] = await shelves.documents(collection)
    assert (shown["state"], shown["name"]) == ("ready", "long.txt")
    await shelves.add(collection, BEES, document_id=document)


async def test_of_two_gateways_that_begin_with_a_document_one_goes_on(shelves: Shelves) -> None:
    """Neither knows of the other before the log has what both have said."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None
    document = DocumentId(new_id())

    async def begun_twice() -> list[str]:
        late, refused, new = Late(services.library), [], [upload(), upload()]
        async with another_gateway(services, late) as one, another_gateway(services, late) as other:
            for additions, each in zip((one, other), new, strict=True):
                try:
                    await additions.begin(collection, document, each)
                except DocumentBusy as error:
                    refused.append(error.code)
                    each.file.close()
            late.told.set()
            await eventually(lambda: not one.in_hand and not other.in_hand)
        return refused

    assert await shelves.in_the_gateway(begun_twice()) == ["document.busy"]
    events = [event["type"] for event in await shelves.events(collection)]
    assert events.count("document.added") == 1
    assert "document.failed" not in events
    [shown] = await shelves.documents(collection)
    assert (shown["state"], shown["name"]) == ("ready", "bees.md")
    await shelves.add(collection, BEES, document_id=document)


async def test_adding_an_id_again_at_once_is_not_told_to_be_interrupted(shelves: Shelves) -> None:
    """The end of one addition is not the end of the next one of the same name."""
    collection, services = CollectionId(await shelves.create()), shelves.app.services
    assert services is not None
    document = DocumentId(new_id())

    async def again() -> None:
        async with another_gateway(services, services.library) as additions:
            for _ in range(3):
                began = await additions.begin(collection, document, upload())
                async with aclosing(services.collections.progress(collection, document, began)) as events:
                    kinds = [event.type async for event in events]
                assert kinds[-1] == "document.added"
            await eventually(lambda: not additions.in_hand)

    await shelves.in_the_gateway(again())
    assert "document.failed" not in [event["type"] for event in await shelves.events(collection)]
