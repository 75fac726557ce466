"""Limits of streams: of one stream, of a principal, and of a name that is not free yet."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.clients.access_people import Newcomers, settings_at
from tests.support.running_app import RunningApp, running_app

OCTETS = {"Content-Type": "application/octet-stream"}
LIMITS = {"sessions_per_hour": 6, "stored_mb": 1}


@pytest.fixture(scope="module")
def newcomers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, Newcomers]]:
    home = tmp_path_factory.mktemp("limited")
    people = Newcomers(home)
    settings = settings_at(
        home,
        limits={"principal": LIMITS},
        log={"max_session_bytes": 400_000},
        auth={"keys_file": Path(home) / "keys.jsonl"},
    )
    with running_app(settings, workers=True) as app:
        yield app, people


@pytest.fixture
def carol(newcomers: tuple[RunningApp, Newcomers]) -> Iterator[httpx.Client]:
    """Has used nothing yet."""
    app, people = newcomers
    headers = {"Authorization": f"Bearer {people.next().anna}", **OCTETS}
    with httpx.Client(base_url=f"{app.url}/v1/", headers=headers, timeout=30) as client:
        yield client


def codes(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_full_stream_takes_no_more_and_can_be_read_and_deleted(carol: httpx.Client) -> None:
    carol.put("durable/full")
    assert carol.post("durable/full", content=bytes(300_000)).status_code == 204
    assert codes(carol.post("durable/full", content=bytes(200_000))) == (409, "session.quota")
    assert carol.post("durable/full", content=b"small").status_code == 204
    assert carol.get("durable/full").content == bytes(300_000) + b"small"
    assert carol.delete("durable/full").status_code == 204
    assert codes(carol.get("durable/full")) == (404, "stream.not_found")


def test_forks_count_as_stored_and_a_refused_one_leaves_nothing(carol: httpx.Client) -> None:
    """The first write of all may be forgotten until the next count, so that a fork more may fit."""
    assert carol.put("durable/source", content=bytes(350_000)).status_code == 201
    taken, refused = 0, httpx.Response(201)
    while refused.is_success:
        taken += 1
        refused = carol.put(f"durable/fork-{taken}", headers={"Stream-Forked-From": "source"})
    assert codes(refused) == (409, "quota.stored")
    assert taken in (2, 3)
    assert codes(carol.get(f"durable/fork-{taken}")) == (404, "stream.not_found")
    assert codes(carol.post("durable/source", content=bytes(400_000))) == (409, "quota.stored")
    assert carol.delete("durable/source").status_code == 204


def test_streams_are_counted_among_the_sessions_of_an_hour(carol: httpx.Client) -> None:
    for number in range(LIMITS["sessions_per_hour"]):
        assert carol.put(f"durable/{number}").status_code == 201
    refused = carol.put("durable/one-more")
    assert codes(refused) == (429, "limit.sessions")
    assert int(refused.headers["Retry-After"]) > 0
    assert codes(carol.get("durable/one-more")) == (404, "stream.not_found")
    assert carol.put("durable/0").status_code == 200


def test_a_deleted_stream_is_gone_and_its_name_not_free_while_a_fork_lives(carol: httpx.Client) -> None:
    carol.put("durable/source", content=b"kept by the fork")
    carol.put("durable/fork", headers={"Stream-Forked-From": "source"})
    carol.put("durable/fork-of-fork", headers={"Stream-Forked-From": "fork"})
    assert carol.delete("durable/source").status_code == 204
    for answer in (
        carol.get("durable/source"),
        carol.head("durable/source"),
        carol.post("durable/source", content=b"x"),
        carol.delete("durable/source"),
    ):
        assert answer.status_code == 410
    assert codes(carol.put("durable/source", content=b"new")) == (409, "stream.conflict")
    carol.delete("durable/fork")
    assert codes(carol.get("durable/source")) == (410, "stream.gone")
    assert carol.get("durable/fork-of-fork").content == b"kept by the fork"
    carol.delete("durable/fork-of-fork")
    assert codes(carol.get("durable/source")) == (404, "stream.not_found")
    assert carol.put("durable/source", content=b"new").status_code == 201


def test_a_fork_does_not_begin_within_an_append(carol: httpx.Client) -> None:
    """Else what follows would be part of it, and forks of forks would have appends without end."""
    end = carol.put("durable/source", content=bytes(300_000)).headers["Stream-Next-Offset"]
    within = f"{end[:-1]}{int(end[-1]) - 1}"
    fork = {"Stream-Forked-From": "source", "Stream-Fork-Offset": within}
    refused = carol.put("durable/fork", headers=fork, content=b"more")
    assert codes(refused) == (400, "stream.invalid")
    assert refused.json()["field"] == "Stream-Fork-Offset"
    assert codes(carol.get("durable/fork")) == (404, "stream.not_found")
    assert carol.put("durable/fork", headers=fork | {"Stream-Fork-Offset": end}).status_code == 201
