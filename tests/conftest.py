"""What every test may use."""

from collections.abc import Iterator

import pytest

from tests.chat_server import ChatHouse, chat_house
from tests.speech_server import SpeechHouse, speech_house

HEAVY = ("serve", "resilience", "browser")
"""Folders whose tests keep more than one core busy, or play sound in real time."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are tested beside each other (docs/adr/0093), each of them in its own order.

    Ray, crowds and the browser are one group, which begins first: two of them at once would need four cores.
    """
    for item in items:
        heavy = item.path.parent.name in HEAVY
        item.add_marker(pytest.mark.xdist_group("heavy" if heavy else item.path.name))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return HEAVY.index(folder) if folder in HEAVY else len(HEAVY)


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
