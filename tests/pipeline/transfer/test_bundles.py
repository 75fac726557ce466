"""A session leaves as a file and comes back as another session; nothing wrong comes in."""

import json
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import anyio
import httpx
import pytest
from cloudevents.core.formats.json import JSONFormat

from pipeline.eventlog.tiered_log import TieredLog
from schemas.ids import SessionId
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.eventlog.bundles import (
    EVENTS,
    MANIFEST,
    PACKETS,
    events_of,
    exported,
    imported,
    unzip,
    with_events,
    zipped,
)
from tests.support.eventlog.log_events import ENDED, batch
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def everything(app: RunningApp, session: str) -> Heard:
    """The events and the sound of a session whose turns are over."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        turns = (await http.get(f"/v1/sessions/{session}")).json()["turns"]
    return await listen_until_over(app.ws_url, session, turns[-1]["turn"], audio="opus")


# ---------------------------------------------------------------- out


async def test_a_bundle_says_what_it_holds(http: httpx.AsyncClient, told: tuple[str, Heard]) -> None:
    session, heard = told
    files = unzip(await exported(http, session))
    manifest = json.loads(files[MANIFEST])
    assert (manifest["format"], manifest["version"], manifest["session"]) == ("rhapsode.session", 1, session)
    assert (manifest["n"], manifest["first"], manifest["last"]) == (heard.last, 1, heard.last)
    assert manifest["sha256"] == sha256(files[EVENTS]).hexdigest()
    assert manifest["packets_sha256"] == sha256(files[PACKETS]).hexdigest()


async def test_events_are_cloudevents_and_hold_the_events(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    files = unzip(await exported(http, session))
    sequences = []
    for line, log_event in zip(files[EVENTS].splitlines(), heard.events, strict=True):
        event = JSONFormat().read(None, line)  # raises what the specification forbids
        assert event.get_id() == f"{session}/{log_event['seq']}"
        assert event.get_source() == f"/v1/sessions/{session}"
        assert event.get_type() == f"dev.rhapsode.{log_event['type']}.v1"
        assert event.get_subject() == (f"turn/{log_event['turn']}" if log_event["turn"] else None)
        assert round(event.get_time().timestamp() * 1_000) == log_event["ts"]
        assert event.get_data() == log_event["data"]
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
    for turn in {log_event["turn"] for log_event in heard.of("turn.completed")}:
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


async def test_an_export_takes_room_on_the_disk_until_it_is_sent(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting, taken = mover.services.exporting, list[int]()
    reserve = exporting.reserve

    def reserved(principal: str, count: int) -> None:
        taken.append(count)
        reserve(principal, count)

    monkeypatch.setattr(exporting, "reserve", reserved)
    files = unzip(await exported(http, told[0]))
    assert sum(taken) == len(files[PACKETS]) > 0
    with anyio.fail_after(30):
        while exporting._bytes.total() or exporting._files.total():
            await http.get(f"/v1/sessions/{told[0]}")
    with ExitStack() as full:
        for _ in range(mover.settings.limits.inputs):
            full.enter_context(exporting.file(""))
        refused = await http.get(f"/v1/sessions/{told[0]}/export")
        assert (await imported(http, zipped(files)))["session_id"], "files that arrive have room of their own"
    assert (refused.status_code, refused.json()["code"]) == (503, "gateway.busy")


# ---------------------------------------------------------------- in


async def test_an_imported_session_is_the_exported_one(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session, heard = told
    bundle = await exported(http, session)
    assert len(bundle) > mover.settings.limits.body_bytes
    created = await imported(http, bundle)
    assert created["session_id"] != session
    assert (created["imported_from"], created["head_seq"]) == (session, heard.last)
    again = await everything(mover, created["session_id"])
    assert again.events[1:] == heard.events[1:]
    assert again.audio == heard.audio
    origin = {"imported_from": session}
    assert again.events[0]["data"] == heard.events[0]["data"] | origin
    assert again.events[0]["ts"] == heard.events[0]["ts"]


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
    assert len(heard.events) == len(events_of(files)) + 1


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


async def test_a_copy_has_no_share_links_whenever_they_were_to_end(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    session = told[0]
    assert (await http.post(f"/v1/sessions/{session}/shares", json={})).status_code == 201
    files = unzip(await exported(http, session))

    def later(events: list[dict[str, Any]]) -> None:
        events[-1]["data"]["expires_ms"] = 2**53

    for changed in (files, with_events(files, later)):
        copy = (await imported(http, zipped(changed)))["session_id"]
        listed = await http.get(f"/v1/sessions/{copy}/shares")
        assert (listed.status_code, listed.json()["shares"]) == (200, [])
    made = await http.post(f"/v1/sessions/{session}/fork", json={})
    assert (await http.get(f"/v1/sessions/{made.json()['session_id']}/shares")).json()["shares"] == []


async def test_an_origin_that_is_no_session_is_left_out(
    http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    def strange(events: list[dict[str, Any]]) -> None:
        events[0]["data"] |= {"parent": "../x", "parent_seq": 2}

    files = with_events(unzip(await exported(http, told[0])), strange)
    assert "session_id" in await imported(http, zipped(files))
