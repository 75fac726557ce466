"""What every test may use."""

from collections.abc import Iterator

import pytest

from tests.chat_server import ChatHouse, chat_house
from tests.speech_server import SpeechHouse, speech_house


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files can be tested beside each other (docs/adr/0093), each of them in its own order.

    What starts Ray begins first, since it takes longest, and one after the other: two Rays need four cores.
    """
    for item in items:
        on_ray = item.path.parent.name == "serve"
        item.add_marker(pytest.mark.xdist_group("serve" if on_ray else item.path.name))
    items.sort(key=lambda item: item.path.parent.name != "serve")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(scope="session")
def running_house() -> Iterator[SpeechHouse]:
    """A provider of voices elsewhere, for applications that outlive a test."""
    with speech_house() as house:
        yield house


@pytest.fixture
def house(running_house: SpeechHouse) -> SpeechHouse:
    """The same, well behaved and without a memory when the test begins."""
    running_house.forget()
    return running_house


@pytest.fixture(scope="session")
def running_elsewhere() -> Iterator[ChatHouse]:
    """A language model elsewhere, for applications that outlive a test."""
    with chat_house() as house:
        yield house


@pytest.fixture
def elsewhere(running_elsewhere: ChatHouse) -> ChatHouse:
    """The same, well behaved and without a memory when the test begins."""
    running_elsewhere.forget()
    return running_elsewhere
