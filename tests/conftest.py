"""What every test may use."""

from collections.abc import Iterator

import pytest

from tests.speech_server import SpeechHouse, speech_house


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
