"""What several people do to a collection at the same time, or one of them twice."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from deployments.services import Services
from pipeline.documents.additions import Additions, NewUpload, Shelf
from pipeline.documents.state import CollectionState
from pipeline.log.recorder import Recorder
from pipeline.log.redis_inputs import DOCUMENTS, RedisInputs
from pipeline.log.redis_log import RedisEventLog
from pipeline.log.tiered import TieredLog
from pipeline.retrieval.port import Librarian
from pipeline.views import Views
from schemas.ids import new_id
from schemas.retrieval import CollectionId, DocumentId
from tests.documents.libraries import BEES, Shelves
from tests.eventually import eventually

pytestmark = pytest.mark.anyio


class Late:
    """A librarian who begins with a document when they are told to."""

    def __init__(self, librarian: Librarian) -> None:
        self._librarian = librarian
        self.asked, self.told = anyio.Event(), anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._librarian, name)

    async def create(self, name: str, collection: CollectionId) -> Any:
        self.asked.set()
        await self.told.wait()
        return await self._librarian.create(name, collection)


@asynccontextmanager
async def another_gateway(services: Services, librarian: Any) -> AsyncGenerator[Additions, None]:
    assert isinstance(services.log, TieredLog)
    hot = services.log.hot
    assert isinstance(hot, RedisEventLog)
    async with Recorder(services.log) as recorder:
        shelf = Shelf(librarian, Views(services.log, CollectionState), recorder)
        held = RedisInputs(hot, DOCUMENTS)
        async with Additions(shelf, held, services.clock, services.settings.retrieval) as additions:
            yield additions


def upload() -> NewUpload:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # the addition closes it
    file.write(BEES.encode())
    file.flush()
    return NewUpload(file, Path(file.name), name="bees.md", declared=None, size=len(BEES))


async def test_a_document_does_not_outlive_its_collection(shelves: Shelves) -> None:
    """Somebody deletes the collection while a gateway is just about to begin with a document of it."""
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
