"""Fixtures and options of all tests."""

import gc
import os
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.hypothesis_profiles import UNTIMED
from tests.support.servers.chat_server import FakeChatServer, fake_chat_server
from tests.support.servers.speech_server import FakeSpeechServer, fake_speech_server

# There are thousands of HTTP clients in these tests, all of them for this machine. Each would read 140
# certificates, which takes 60 to 100 ms. From a folder they are read only when somebody is to be trusted.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = ssl.get_default_verify_paths().openssl_capath

HERE = Path(__file__).parent

settings.load_profile(UNTIMED)  # unless an option says otherwise, which is looked at later

QUEUES = {
    "serve": "Ray",
    "browser": "browser",
    "browser/appearance": "second browser",
    "browser/microphone": "second browser",
    "browser/other_browsers": "second browser",
    "pipeline/engines": "models",
}
"""Folders whose tests keep more than a core busy, play sound in real time or share models: one at a time of
each queue."""
LONGEST = (
    "serve",
    "browser",
    "pipeline/engines",
    "pipeline/stt/inputs",
    "deployments/native",
    "loadtests/runner",
    "loadtests/chaos",
    "resilience",
    "pipeline/eventlog",
    "pipeline/stt",
    "seeds",
    "deployments/openai",
    "cluster/cli",
    "pipeline/tts",
    "pipeline/sessions",
    "pipeline/rag",
)
"""What takes long begins early, so that all processes end at about the same time."""


STARTERS = frozenset(
    {
        *("DocumentReader", "GatewaySystem", "Gateways", "Popen", "ThreadingHTTPServer", "bare_gateway"),
        *("child_process", "create_app", "embedded_server", "postgres", "redis_server", "running_app"),
    }
)
"""Names by which a module starts a server or a process; `make test-fast` leaves its tests out."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Several tests at a time (docs/adr/0150), those of a folder one after the other in one process."""
    return FolderByFolder(config, log)


class FolderByFolder(LoadScopeScheduling):  # type: ignore[misc]
    """Servers and models that the tests of a folder share start once (docs/adr/0284).

    Ray is for one process: two systems at once would need four cores. Pages are opened in two.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _queue(nodeid.partition("::")[0])


@cache
def _queue(module: str) -> str:
    """The name of a module's folder, or of the nearest one above it that is named in `QUEUES`."""
    folders = [str(folder) for folder in PurePosixPath(module).relative_to("tests").parents]
    return next((QUEUES[folder] for folder in folders if folder in QUEUES), folders[0])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Modules and tests stay to the end: the collector of garbage need not look at 800,000 objects again.

    Each such look takes half a second, in which an application in the process answers no request.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"Of tests with one name, xdist runs one: {twice}")
    items.sort(key=lambda item: _turn(item.path))
    for item in items:
        if isinstance(item, pytest.Function) and _starts_something(item):
            item.add_marker("server")


def _starts_something(item: pytest.Function) -> bool:
    """Whether the test's module, or that of one of its fixtures, has a name of `STARTERS`."""
    fixtures = chain.from_iterable(item._fixtureinfo.name2fixturedefs.values())
    modules = [vars(item.module), *(getattr(one.func, "__globals__", {}) for one in fixtures)]
    return any(STARTERS & module.keys() for module in modules)


@cache
def _turn(path: Path) -> int:
    places = [place for place, folder in enumerate(LONGEST) if path.is_relative_to(HERE / folder)]
    return min(places, default=len(LONGEST))


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """For sockets: their paths may have 107 bytes, and the name of a test's own folder can be longer."""
    with tempfile.TemporaryDirectory(prefix="sockets-", dir="/tmp") as short:
        yield Path(short)


@pytest.fixture(scope="session")
def running_remote() -> Iterator[FakeSpeechServer]:
    """A provider of voices elsewhere, for applications that outlive a test."""
    with fake_speech_server() as remote:
        yield remote


@pytest.fixture
def remote(running_remote: FakeSpeechServer) -> FakeSpeechServer:
    """The same, well behaved and without a memory when the test begins."""
    running_remote.forget()
    return running_remote


@pytest.fixture(scope="session")
def running_elsewhere() -> Iterator[FakeChatServer]:
    """A language model elsewhere, for applications that outlive a test."""
    with fake_chat_server() as remote:
        yield remote


@pytest.fixture
def elsewhere(running_elsewhere: FakeChatServer) -> FakeChatServer:
    """The same, well behaved and without a memory when the test begins."""
    running_elsewhere.forget()
    return running_elsewhere


@pytest.fixture(autouse=True, scope="module")
def _temporary_files_lie_where_they_lay() -> Iterator[None]:
    """A gateway or librarian in a test's own process moves them under its home: see deployments/web/spool."""
    before = tempfile.gettempdir()
    yield
    tempfile.tempdir = before
