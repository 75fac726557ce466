"""A session leaves as a file and comes back as another session; nothing wrong comes in."""

import io
import json
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.formats.json import JSONFormat

from pipeline.log.open import open_log
from pipeline.log.tiered import TieredLog
from schemas.ids import SessionId
from tests.edge.bundles import (
    EVENTS,
    MANIFEST,
    PACKETS,
    Files,
    events_of,
    unzip,
    with_events,
    with_manifest,
    zipped,
)
from tests.edge.listeners import Heard, ask, create, listen_until_over
from tests.log.support import ENDED, batch
from tests.support import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
LIMIT = 1_000_000


@pytest.fixture(scope="module")
def mover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("bundles")
    settings = scripted_settings(
        home,
        llm={"reply": "The sea is wide. It is deep, too!", "reply_to": {"slowly": "On and on. " * 90}},
        limits={"body_bytes": 5_000, "bundle_bytes": LIMIT},
        log={"max_session_bytes": 400_000},
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture
async def http(mover: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=mover.url, timeout=30) as client:
        yield client


@pytest.fixture
async def log(mover: RunningApp) -> AsyncGenerator[TieredLog, None]:
    opened = open_log(mover.settings.log, mover.settings.home, mover.settings.archive)
    yield opened
    await opened.aclose()


@pytest.fixture
async def told(mover: RunningApp, http: httpx.AsyncClient) -> tuple[str, Heard]:
    """A session with two finished turns, and what a listener got of it."""
    session = await create(http, title="Of the sea")
    heard = Heard()
    for _ in range(2):
        turn = await ask(http, session, prompt="Tell me of the sea")
        heard = await listen_until_over(mover.ws_url, session, turn, heard, audio="opus")
    return session, heard


async def exported(http: httpx.AsyncClient, session: str) -> bytes:
    answer = await http.get(f"/v1/sessions/{session}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


async def imported(http: httpx.AsyncClient, bundle: bytes) -> dict[str, Any]:
    answer = await http.post("/v1/sessions/import", content=bundle)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def everything(app: RunningApp, session: str) -> Heard:
    """The facts and the sound of a session whose turns are over."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        turns = (await http.get(f"/v1/sessions/{session}")).json()["turns"]
    return await listen_until_over(app.ws_url, session, turns[-1]["turn"], audio="opus")


async def live_sessions(log: TieredLog) -> set[SessionId]:
    return {
        session
        async for page in log.archival.standings()
        for session, standing in page
        if standing.state != "deleted"
    }


# ---------------------------------------------------------------- out


async def test_a_bundle_says_what_it_holds(http: httpx.AsyncClient, told: tuple[str, Heard]) -> None:
    session, heard = told
    files = unzip(await exported(http, session))
    manifest = json.loads(files[MANIFEST])
    assert (manifest["format"], manifest["version"], manifest["session"]) == ("rhapsode.session", 1, session)
    assert (manifest["n"], manifest["first"], manifest["last"]) == (heard.last, 1, heard.last)
    assert manifest["sha256"] == sha256(files[EVENTS]).hexdigest()
    assert manifest["packets_sha256"] == sha256(files[PACKETS]).hexdigest()


async def test_events_are_cloudevents_and_hold_the_facts(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    files = unzip(await exported(http, session))
    sequences = []
    for line, fact in zip(files[EVENTS].splitlines(), heard.facts, strict=True):
        event = JSONFormat().read(None, line)  # raises what the specification forbids
        assert event.get_id() == f"{session}/{fact['seq']}"
        assert event.get_source() == f"/v1/sessions/{session}"
        assert event.get_type() == f"dev.rhapsode.{fact['type']}.v1"
        assert event.get_subject() == (f"turn/{fact['turn']}" if fact["turn"] else None)
        assert round(event.get_time().timestamp() * 1_000) == fact["ts"]
        assert event.get_data() == fact["data"]
        sequences.append(event.get_extension("sequence"))
    assert sequences == sorted(sequences)


async def test_sound_is_there_as_packets_and_as_files_that_play(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    files = unzip(await exported(http, session))
    assert files[PACKETS] == b"".join(heard.audio[seq] for seq in sorted(heard.audio))
    for event in events_of(files):
        if "audioref" in event:
            name, _, place = event["audioref"].partition("#bytes=")
            first, last = (int(number) for number in place.split("-"))
            assert files[name][first : last + 1] == heard.audio[int(event["sequence"])]
    base = f"/v1/sessions/{session}"
    for turn in {fact["turn"] for fact in heard.of("turn.completed")}:
        query = {"turn": turn}
        ogg = await http.get(f"{base}/audio", params={**query, "format": "opus"})
        assert files[f"audio/turn-{turn}.ogg"] == ogg.content
        for kind in ("vtt", "srt"):
            shown = await http.get(f"{base}/captions.{kind}", params=query)
            assert files[f"captions/turn-{turn}.{kind}"] == shown.content


async def test_the_same_session_gives_the_same_bundle(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    assert await exported(http, told[0]) == await exported(http, told[0])


# ---------------------------------------------------------------- in


async def test_what_comes_in_is_what_went_out(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    bundle = await exported(http, session)
    assert len(bundle) > mover.settings.limits.body_bytes
    created = await imported(http, bundle)
    assert created["session_id"] != session
    assert (created["imported_from"], created["head_seq"]) == (session, heard.last)
    again = await everything(mover, created["session_id"])
    assert again.facts[1:] == heard.facts[1:]
    assert again.audio == heard.audio
    origin = {"imported_from": session}
    assert again.facts[0]["data"] == heard.facts[0]["data"] | origin
    assert again.facts[0]["ts"] == heard.facts[0]["ts"]


async def test_an_imported_session_goes_on(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session = (await imported(http, await exported(http, told[0])))["session_id"]
    turn = await ask(http, session, prompt="And then?")
    heard = await listen_until_over(mover.ws_url, session, turn)
    assert heard.types(turn)[-1] == "turn.completed"


async def test_a_turn_cut_by_the_export_is_closed_by_the_import(
    mover: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="slowly")
    files = unzip(await exported(http, session))
    await http.post(f"/v1/sessions/{session}/control", json={"action": "stop"})
    created = await imported(http, zipped(files))
    heard = await everything(mover, created["session_id"])
    assert heard.of("turn.stopped", turn)[-1]["data"] == {"reason": "forked"}
    assert len(heard.facts) == len(events_of(files)) + 1


async def test_an_ended_session_stays_ended(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    session = SessionId(told[0])
    await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    created = await imported(http, await exported(http, session))
    [head] = await log.heads([SessionId(created["session_id"])])
    assert head is not None
    assert (head.state, head.seq) == ("sealed", told[1].last + 1)


async def test_workers_and_owners_do_not_take_the_past_for_news(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    session = SessionId((await imported(http, await exported(http, told[0])))["session_id"])
    keys = await log.hot.keys()
    [entries] = await log.hot.call(("XRANGE", keys.triggers(keys.partition(session)), "-", "+"))
    heard = [fields[5] for _, fields in entries if fields[1] == session.encode()]
    assert heard == [b"session.started"]
    assert session not in await log.abandoned()


def rename(files: Files, name: str) -> Files:
    return files | {name: b"x"}


def twice(files: Files) -> bytes:
    out = io.BytesIO(zipped(files))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as bundle:
        bundle.writestr(MANIFEST, files[MANIFEST])
    return out.getvalue()


def shouted(event: dict[str, Any]) -> None:
    event["data"]["text"] = "Louder!"


def first_delta(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if ".text.delta." in event["type"])


def first_sound(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if "audioref" in event)


WRONG: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "no zip": (lambda files: b"PK\x03\x04 and then nothing", "bundle.invalid"),
    "nothing": (lambda files: b"", "bundle.invalid"),
    "cut short": (lambda files: zipped(files)[:-30], "bundle.invalid"),
    "no manifest": (lambda files: zipped({EVENTS: files[EVENTS], PACKETS: b""}), "bundle.invalid"),
    "no events": (lambda files: zipped({MANIFEST: files[MANIFEST], PACKETS: b""}), "bundle.invalid"),
    "a path up": (lambda files: zipped(rename(files, "../../evil")), "bundle.invalid"),
    "an absolute path": (lambda files: zipped(rename(files, "/etc/passwd")), "bundle.invalid"),
    "a stranger": (lambda files: zipped(rename(files, "run.sh")), "bundle.invalid"),
    "a name twice": (twice, "bundle.invalid"),
    "another format": (lambda files: zipped(with_manifest(files, format="tar")), "bundle.invalid"),
    "a later version": (lambda files: zipped(with_manifest(files, version=2)), "bundle.version"),
    "a foreign id": (lambda files: zipped(with_manifest(files, session="../x")), "bundle.invalid"),
    "another hash": (lambda files: zipped(with_manifest(files, sha256="0" * 64)), "bundle.damaged"),
    "a changed text": (
        lambda files: zipped(files | {EVENTS: files[EVENTS].replace(b"sea", b"tea", 1)}),
        "bundle.damaged",
    ),
    "changed sound": (lambda files: zipped(files | {PACKETS: bytes(len(files[PACKETS]))}), "bundle.invalid"),
    "missing sound": (lambda files: zipped(files | {PACKETS: files[PACKETS][:-9]}), "bundle.damaged"),
    "more sound": (lambda files: zipped(files | {PACKETS: files[PACKETS] + b"!"}), "bundle.damaged"),
    "a gap": (lambda files: zipped(with_events(files, lambda e: e.pop(3))), "bundle.damaged"),
    "a repetition": (lambda files: zipped(with_events(files, lambda e: e.insert(3, e[3]))), "bundle.damaged"),
    "disorder": (lambda files: zipped(with_events(files, lambda e: e.reverse())), "bundle.damaged"),
    "moved sound": (
        lambda files: zipped(
            with_events(files, lambda e: first_sound(e).update(audioref=f"{PACKETS}#bytes=5-9"))
        ),
        "bundle.damaged",
    ),
    "sound elsewhere": (
        lambda files: zipped(
            with_events(files, lambda e: first_sound(e).update(audioref="https://example.com/#bytes=0-9"))
        ),
        "bundle.invalid",
    ),
    "an unknown fact": (
        lambda files: zipped(with_events(files, lambda e: e[4].update(type="dev.rhapsode.cat.seen.v1"))),
        "bundle.version",
    ),
    "a later fact": (
        lambda files: zipped(with_events(files, lambda e: e[4].update(type=e[4]["type"][:-1] + "9"))),
        "bundle.version",
    ),
    "a malformed fact": (
        lambda files: zipped(with_events(files, lambda e: first_delta(e).update(data={"at": "here"}))),
        "bundle.invalid",
    ),
    "no time": (
        lambda files: zipped(with_events(files, lambda e: e[2].update(time="yesterday"))),
        "bundle.invalid",
    ),
    "a user's own session": (
        lambda files: zipped(with_events(files, lambda e: e[0]["data"].update(kind="user"))),
        "bundle.invalid",
    ),
    "a sentence that is not there": (
        lambda files: zipped(with_events(files, lambda e: first_sound(e)["data"].update(sentence=-99))),
        "bundle.invalid",
    ),
    "a bomb": (lambda files: zipped(files | {"audio/turn-9.ogg": bytes(5 * LIMIT)}), "bundle.too_large"),
    "too many bytes": (lambda files: bytes(LIMIT + 1), "bundle.too_large"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog, wrong: str
) -> None:
    make, code = WRONG[wrong]
    files = unzip(await exported(http, told[0]))
    before = await live_sessions(log)
    answer = await http.post("/v1/sessions/import", content=make(files))
    problem = answer.json()
    assert (problem["code"], answer.status_code) == (code, 413 if code == "bundle.too_large" else 422)
    assert await live_sessions(log) == before


async def test_an_import_that_fails_half_way_leaves_nothing(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    files = unzip(await exported(http, told[0]))

    def swell(events: list[dict[str, Any]]) -> None:
        model = first_delta(events)
        start = len(events)
        for n in range(start + 1, start + 60):
            where = {"id": model["id"].rpartition("/")[0] + f"/{n}", "sequence": f"{n:010}"}
            events.append(model | where | {"data": {"at": 0, "text": "x" * 8_000}})

    before = await live_sessions(log)
    answer = await http.post("/v1/sessions/import", content=zipped(with_events(files, swell)))
    assert (answer.status_code, answer.json()["code"]) == (409, "session.quota")
    assert await live_sessions(log) == before


async def test_a_bundle_cannot_point_to_what_is_somebody_else_s(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    files = unzip(await exported(http, told[0]))
    stranger = "019aa3c6-0000-7000-8f00-2b1d7a5c9e10"

    def link(events: list[dict[str, Any]]) -> None:
        n = len(events) + 1
        where = {"id": events[0]["id"][:-1] + str(n), "sequence": f"{n:010}", "subject": "turn/2"}
        kind = {"type": "dev.rhapsode.narration.requested.v1", "data": {"session": stranger, "by": "user"}}
        events.append(events[0] | where | kind)
        events[0]["data"] |= {"principal": "the boss", "parent": stranger, "parent_seq": 2}

    created = await imported(http, zipped(with_events(files, link)))
    facts = await log.read(SessionId(created["session_id"]), created["head_seq"] - 1)
    assert facts[-1].data["session"] == "00000000-0000-0000-0000-000000000000"
    [started] = await log.read(SessionId(created["session_id"]), 0, limit=1)  # type: ignore[arg-type]
    assert (started.data["principal"], started.data["parent"], started.data["parent_seq"]) == ("", None, None)
