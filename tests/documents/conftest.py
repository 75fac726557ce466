"""One running application with a real log, a real store and the small packaged embeddings."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.documents.libraries import Shelves
from tests.support import RunningApp, running_app, scripted_settings

QUICK = {"embedding": "wordllama", "judge": None, "interrupted_s": 1.5}


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("documents")
    limits = {"bytes": 300_000}
    settings = scripted_settings(home, retrieval={**QUICK, "limits": limits}, limits={"heartbeat_s": 0.2})
    with running_app(settings, workers=True) as running:
        yield running


@pytest.fixture
async def shelves(app: RunningApp) -> AsyncGenerator[Shelves, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
        yield Shelves(app, client)
