"""One server that asks for keys, and clients of Anna and Bob."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.clients.access_people import People, settings_at
from tests.support.running_app import RunningApp, running_app


@pytest.fixture(scope="package")
def durable_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("durable")


@pytest.fixture(scope="package")
def people(durable_home: Path) -> People:
    return People.at(durable_home)


@pytest.fixture(scope="package")
def app(durable_home: Path, people: People) -> Iterator[RunningApp]:
    with running_app(settings_at(durable_home, openai={"grace_s": 0.2}), workers=True) as running:
        yield running


def _client(app: RunningApp, key: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    return httpx.Client(base_url=f"{app.url}/v1/", headers=headers, timeout=30)


@pytest.fixture
def anna(app: RunningApp, people: People) -> Iterator[httpx.Client]:
    with _client(app, people.anna) as client:
        yield client


@pytest.fixture
def bob(app: RunningApp, people: People) -> Iterator[httpx.Client]:
    with _client(app, people.bob) as client:
        yield client


@pytest.fixture
def root(app: RunningApp, people: People) -> Iterator[httpx.Client]:
    with _client(app, people.root) as client:
        yield client
