"""One application with workers for the seeds' tests, and a new person for each of them."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.tiered_log import TieredLog
from tests.seeds.people import Person
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.speech_server import FakeSpeechServer

STORY = (
    "Once upon a time there was a lighthouse keeper, old and kind. Every night he lit the great lamp. "
    'One evening a small red fox came to his door! "Who are you?" asked the keeper. '
    "The fox said nothing, but sat down by the fire. So they became friends."
)
SLOW = "The keeper lit the lamp, and the fox watched the sea from the window. " * 40
SLOWLY = 41
"""Chunks of it: the first clause is spoken by itself."""
MUTE = (
    "The keeper lit the lamp and sat down. Then came the unspeakable thing out of the sea. "
    "In the morning it was gone again, and nobody knew why."
)
PUNCTUATED = (
    "Dr. Smith paid $3.50 at 5 p.m. for it! “Really?” she asked. Wait... what happened then?! "
    "He looked up (slowly, as ever). It was over: no more; no less. The U.S. ship left at 10:45 a.m. and "
    "nobody saw it again.\n\nA new paragraph began"
)
LENGTHS = (
    "No. Yes! Go. Then the old keeper, who had seen many storms, and many ships, and many men that never "
    "came back from the sea, took his lamp, and his coat, and his stick, and went down the long stairs to "
    "the door, where the fox was waiting for him as it had every evening since the autumn in which they had "
    "become friends, and opened it. Oh. End."
)
CROWD = {
    f"crowd {user:02}": " ".join(f"Sentence {n} of the story that user {user:02} hears." for n in range(12))
    for user in range(20)
}
"""Prompts of many users at once, and what each of them alone should hear."""
REPLIES = {
    **CROWD,
    "slowly": SLOW,
    "something unspeakable": MUTE,
    "punctuation": PUNCTUATED,
    "long and short": LENGTHS,
}
PEOPLE = 260


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture(scope="package")
def keys(home: Path) -> Iterator[tuple[str, str]]:
    """Names and keys of people who have done nothing yet."""
    now = SystemClock().now_ms()
    made = [
        (f"person{n}", create_key(home / "keys.jsonl", f"person{n}", now_ms=now)[0]) for n in range(PEOPLE)
    ]
    return iter(made)


@pytest.fixture(scope="package")
def app(home: Path, keys: object, running_remote: FakeSpeechServer) -> Iterator[RunningApp]:
    settings = scripted_settings(
        home,
        llm={
            "reply": STORY,
            "delta_chars": 10,
            "per_delta_ms": 2,
            "reply_to": REPLIES,
            "fail_on": "impossible",
        },
        tts={"ms_per_char": 3, "fail_on": "unspeakable"},
        text_to_speech={"providers": {"cloud": running_remote.given(breaker_failures=1_000)}},
        workers={"retry_s": 0.01},
    )
    with running_app(settings, workers=True) as running:
        yield running


@pytest.fixture
async def person(app: RunningApp, keys: Iterator[tuple[str, str]]) -> AsyncGenerator[Person, None]:
    async with Person.of(app, *next(keys)) as somebody:
        yield somebody


@pytest.fixture
async def other(app: RunningApp, keys: Iterator[tuple[str, str]]) -> AsyncGenerator[Person, None]:
    async with Person.of(app, *next(keys)) as somebody:
        yield somebody


@pytest.fixture
async def log(app: RunningApp) -> AsyncGenerator[TieredLog, None]:
    """The application's log, as another process sees it."""
    opened = open_log(app.settings.log, app.settings.home, app.settings.archive)
    yield opened
    await opened.aclose()
