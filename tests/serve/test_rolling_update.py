"""A second version is rolled out under load: what everybody heard is compared with the log."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import pytest
import yaml

from cluster.client.http_client import Client
from rhapsode.connection import Event as ReceivedEvent
from schemas.events import TERMINAL
from tests.serve.conftest import STORY, Rhapsode
from tests.support.clients.native_client import Heard, frames, open_stream

pytestmark = [pytest.mark.anyio, pytest.mark.serve, pytest.mark.timeout(3_000)]

PEOPLE = 4
Result = TypeVar("Result")


class Person:
    """Asks again and again, listens through our client, and keeps everything."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = ""
        self.turns: list[int] = []
        self.events: list[ReceivedEvent] = []

    async def talk(self, updated: anyio.Event) -> None:
        """Until a turn was asked for and heard after the update."""
        async with Client(self.url) as client:
            self.session = await client.create({})
            last = False
            while not last:
                last = updated.is_set()
                self.turns.append(await client.request(self.session, prompt="A story"))
                after = self.events[-1].seq if self.events else 0
                async for log_event in client.events(self.session, after, turn=self.turns[-1], audio="opus"):
                    self.events.append(log_event)

    @property
    def ends(self) -> list[str]:
        return [log_event.type for log_event in self.events if log_event.type in TERMINAL]

    def text(self, turn: int) -> str:
        return "".join(f.data["text"] for f in self.events if f.turn == turn and f.type == "text.delta")


def change(config: Path, setting: str, value: str) -> None:
    tree = yaml.safe_load(config.read_text())
    tree["applications"][0]["args"][setting] = value
    config.write_text(yaml.safe_dump(tree))


async def talking(people: Sequence[Person], update: Callable[[], Result]) -> Result:
    """People ask and listen while `update` runs in a thread, and for a turn after it."""
    updated = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for person in people:
            tasks.start_soon(person.talk, updated)
        done = await anyio.to_thread.run_sync(update)
        updated.set()
    return done


async def in_the_log(url: str, session: str) -> Heard:
    heard = Heard()
    async with open_stream(url.replace("http", "ws", 1), session, follow="false", audio="opus") as socket:
        async for event, sound in frames(socket):
            if "data" in event:
                heard.take(event, sound)
    return heard


async def releases(url: str) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        there = (await http.get("/v1/gateways")).json()["gateways"]
        return {one["gateway"]: one["release"] for one in there if not one["leaving"]}


@pytest.mark.long
async def test_a_new_version_under_load_loses_nothing(url: str, rhapsode: Rhapsode, config: Path) -> None:
    before = await releases(url)
    assert "two" not in before.values()
    people = [Person(url) for _ in range(PEOPLE)]
    change(config, "release", "two")
    done = await talking(people, lambda: rhapsode("reload"))
    assert done.returncode == 0, done.stderr
    after = await releases(url)
    assert set(after.values()) == {"two"}
    assert not set(after) & set(before)
    for person in people:
        log = await in_the_log(url, person.session)
        assert [log_event.seq for log_event in person.events] == [
            log_event["seq"] for log_event in log.events
        ][: len(person.events)]
        assert [log_event.data for log_event in person.events] == [f["data"] for f in log.events][
            : len(person.events)
        ]
        assert all(log.audio.get(log_event.seq, b"") == log_event.audio for log_event in person.events)
        assert person.ends == ["turn.completed"] * len(person.turns)
        assert all(person.text(turn) == STORY for turn in person.turns)
    moved = sum(log_event.type == "turn.resumed" for person in people for log_event in person.events)
    assert moved, "no turn was handed over, so the test shows nothing"


def test_a_configuration_that_is_not_right_changes_nothing(
    url: str, rhapsode: Rhapsode, config: Path
) -> None:
    right = config.read_text()
    change(config, "relaese", "three")
    refused = rhapsode("reload")
    config.write_text(right)
    assert refused.returncode == 1
    assert "did you mean release?" in refused.stderr
    assert httpx.get(f"{url}/v1/ready", timeout=30).json()["status"] == "ready"


async def test_a_gateway_that_is_sent_away_is_replaced(url: str, rhapsode: Rhapsode) -> None:
    first, *_ = await releases(url)
    gone = rhapsode("drain", first)
    assert gone.returncode == 0, gone.stderr
    listed = json.loads(rhapsode("drain", "--json").stdout)
    assert all(one["leaving"] for one in listed if one["gateway"] == first)
    there: dict[str, str] = {}
    with anyio.fail_after(60):
        while len(there) < 2 or first in there:
            there = await releases(url)
