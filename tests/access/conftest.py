"""One server that asks for keys, for all tests here, and what belongs to Anna there."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.access.people import Belongings, People, belongings_of, settings_at
from tests.support import RunningApp, running_app


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="package")
def people(home: Path) -> People:
    return People.at(home)


@pytest.fixture(scope="package")
def app(home: Path, people: People) -> Iterator[RunningApp]:
    with running_app(settings_at(home)) as running:
        yield running


@pytest.fixture(scope="package")
def hers(app: RunningApp, people: People) -> Belongings:
    return anyio.run(belongings_of, app, people.anna, "anna")
