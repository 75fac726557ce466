"""Input audio is in the log, its copies and files, and in none of them after an erasure."""

from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipeline.audio.capture import CapturedPiece, heard_again
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.tiered_log import TieredLog
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import (
    BYTES_PER_MS,
    austen,
    calling,
    events_of,
    new_session,
    silence,
)
from tests.support.eventlog import bundles
from tests.support.eventlog.bundles import PACKETS, Files, unzip, with_events, with_manifest, zipped
from tests.support.eventlog.log_events import raw
from tests.support.running_app import RunningApp, app_fixture
from tests.support.speech.sound_files import wav

pytestmark = pytest.mark.anyio
SPEECH = silence(300) + austen() + silence(700)
app = app_fixture(
    stt={"texts": ["Keep this."]}, llm={"reply": "I do."}, limits={"rejoin_s": 0.3}, archive={"hot_s": 0}
)


@pytest.fixture
async def log(app: RunningApp) -> Any:
    opened = open_log(app.settings.log, app.settings.home, app.settings.archive)
    yield opened
    await opened.aclose()


async def told(app: RunningApp, **listening: Any) -> str:
    """A session in which something was said and answered."""
    session = await new_session(app, **listening)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("turn.completed")
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    return session


async def all_of(log: TieredLog, session: str) -> list[Recorded]:
    log_events: list[Recorded] = []
    while page := await log.read(SessionId(session), Seq(len(log_events)), audio=True):
        log_events += page
    return log_events


def pieces(log_events: list[Recorded]) -> list[bytes]:
    found = [log_event for log_event in log_events if log_event.type == "input.audio"]
    assert all(
        sha256(log_event.audio or b"").hexdigest() == log_event.data["sha256"]
        for log_event in found
        if log_event.audio
    )
    return [log_event.audio or b"" for log_event in found]


async def ended(app: RunningApp, log: TieredLog, session: str) -> None:
    """Closed, archived, and gone from the hot log."""
    assert app.services is not None
    store = log.archive.store
    archiver = Archiver(
        log.archival, store, app.settings.archive.model_copy(update={"idle_archive_s": 0, "idle_facts": 1})
    )
    assert await archiver.archive(SessionId(session)) is not None


async def test_recorded_sound_is_in_the_log_and_in_its_archive(app: RunningApp, log: TieredLog) -> None:
    session = await told(app)
    before = pieces(await all_of(log, session))
    assert len(before) > 10
    assert all(before)
    await ended(app, log, session)
    keys = await log.hot.keys()
    await log.hot.call(("DEL", keys.audio(SessionId(session))))
    assert pieces(await all_of(log, session)) == before


async def test_a_speaker_who_asks_not_to_be_recorded_any_more_is_not_while_the_microphone_stays_open(
    app: RunningApp, log: TieredLog
) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("transcript.final")
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            patch = {"settings": {"listening": {"record": False}}}
            assert (await http.patch(f"/v1/sessions/{session}", json=patch)).status_code == 200
        await caller.speak(silence(600))
        await caller.frame("input.ack")
        await caller.speak(SPEECH)
        await caller.event("transcript.final", count=2)
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    log_events = await all_of(log, session)
    second = [log_event for log_event in log_events if log_event.type == "speech.started"][1].data["at_ms"]
    assert (
        max(log_event.data["at_ms"] for log_event in log_events if log_event.type == "input.audio") < second
    )


async def test_of_silence_a_frame_is_recorded_each_half_minute_and_speech_keeps_its_place(
    app: RunningApp, log: TieredLog
) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH + silence(70_000) + SPEECH + silence(5_000))
        await caller.event("transcript.final", count=2)
        spoken_ms = 2 * len(SPEECH) // BYTES_PER_MS
        await caller.until(
            lambda frame: frame["type"] == "input.ack" and frame["ms"] > spoken_ms + 72_000, frames=True
        )
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    log_events = await all_of(log, session)
    kept = [log_event.data for log_event in log_events if log_event.type == "input.audio"]
    assert sum(piece["ms"] for piece in kept) < 2 * (len(SPEECH) // BYTES_PER_MS + 1_500)
    assert max(later["at_ms"] - before["at_ms"] for before, later in pairwise(kept)) <= 30_500
    first, second = [log_event.data for log_event in log_events if log_event.type == "speech.started"]
    assert second["at_ms"] - first["at_ms"] == pytest.approx(len(SPEECH) // BYTES_PER_MS + 70_000, abs=300)
    sound = heard_again(
        CapturedPiece(each.audio or b"", each.data["ms"], each.data["at_ms"], each.data["sha256"])
        for each in log_events
        if each.type == "input.audio"
    )
    again = np.frombuffer(sound, "<i2").astype(float).reshape(-1)
    said = np.frombuffer(austen(), "<i2").astype(float)
    at = (300 + len(SPEECH) // BYTES_PER_MS + 70_000) * BYTES_PER_MS // 2 - kept[0]["at_ms"] * 16
    assert np.corrcoef(again[at : at + len(said)], said)[0, 1] > 0.8


async def test_an_input_that_is_recorded_again_in_silence_is_resumed_after_a_break(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller, httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        name = (await caller.open())["input"]
        await caller.speak(SPEECH)
        await caller.event("transcript.final")
        for record, ms in ((False, 100_000), (True, 5_000)):
            patch = {"settings": {"listening": {"record": record}}}
            assert (await http.patch(f"/v1/sessions/{session}", json=patch)).status_code == 200
            await caller.speak(silence(ms))
        spoken_ms = len(SPEECH) // BYTES_PER_MS + 102_000
        ack = await caller.until(
            lambda frame: frame["type"] == "input.ack" and frame["ms"] > spoken_ms, frames=True
        )
    async with calling(app, session) as again:
        assert (await again.open(input=name, at_ms=ack["ms"]))["from_ms"] == ack["ms"]


@pytest.mark.parametrize("way", ["microphone", "upload"])
async def test_an_unrecorded_input_leaves_no_sound_anywhere(
    app: RunningApp, log: TieredLog, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if way == "microphone":
        session = await told(app, record=False, mode="quality", compare=True)
    else:
        session = await new_session(app, record=False)
        large = wav(SPEECH + silence(150_000))
        async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
            answer = await http.post(f"/v1/sessions/{session}/recordings", content=large)
        assert answer.json()["text"] == "Keep this."
    log_events = await all_of(log, session)
    assert [log_event.data["text"] for log_event in log_events if log_event.type == "transcript.final"] == [
        "Keep this."
    ]
    assert {log_event.type for log_event in log_events if log_event.audio} <= {"audio.chunk"}
    await ended(app, log, session)
    assert files_with(SPEECH, tmp_path, app.settings.home) == []


def files_with(sound: bytes, *folders: Path) -> list[Path]:
    """Those in which some of it can be found, as it was sent."""
    samples = [sound[start : start + 400] for start in range(64_000, 128_000, 16_000)]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(sample in path.read_bytes() for sample in samples)]


async def test_an_erased_session_has_no_sound_left(app: RunningApp, log: TieredLog) -> None:
    session = await told(app)
    await ended(app, log, session)
    assert list((app.settings.home / "archive").rglob(f"*{session}*/*"))
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
    assert not list((app.settings.home / "archive").rglob(f"*{session}*/*"))
    with raw(app.settings.home) as server:
        assert not [key for key in server.scan_iter("*:a:*") if session.encode() in key]


# ---------------------------------------------------------------- copies


async def exported(app: RunningApp, session: str) -> Files:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        answer = await http.get(f"/v1/sessions/{session}/export")
    assert answer.status_code == 200
    return unzip(answer.content)


async def imported(app: RunningApp, files: Files) -> httpx.Response:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        return await http.post(
            "/v1/sessions/import", content=zipped(files), headers={"Content-Type": "application/zip"}
        )


async def test_a_bundle_takes_the_sound_along(app: RunningApp, log: TieredLog) -> None:
    session = await told(app)
    answer = await imported(app, await exported(app, session))
    assert answer.status_code == 201, answer.text
    copy = answer.json()["session_id"]
    assert pieces(await all_of(log, copy)) == pieces(await all_of(log, session))
    assert of(await events_of(app, copy), "transcript.final") == of(
        await events_of(app, session), "transcript.final"
    )


async def test_a_bundle_with_sound_that_is_not_what_was_heard_is_refused(app: RunningApp) -> None:
    files = await exported(app, await told(app))
    piece = next(
        event for event in bundles.events_of(files) if event["type"].startswith("dev.rhapsode.input.audio")
    )
    first = int(piece["audioref"].rpartition("=")[2].partition("-")[0])
    changed = bytearray(files[PACKETS])
    changed[first + 10] ^= 1
    packets = {**files, PACKETS: bytes(changed)}
    other = with_manifest(packets, packets_sha256=sha256(changed).hexdigest())
    answer = await imported(app, other)
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle.invalid")


async def test_a_bundle_whose_sound_was_dropped_is_taken(app: RunningApp, log: TieredLog) -> None:
    session = await told(app)
    log_events = await all_of(log, session)
    keys = await log.hot.keys()
    old = [f"{log_event.seq}-0" for log_event in log_events if log_event.type == "input.audio"]
    await log.hot.call(("XDEL", keys.audio(SessionId(session)), *old))
    answer = await imported(app, await exported(app, session))
    assert answer.status_code == 201, answer.text
    assert not any(pieces(await all_of(log, answer.json()["session_id"])))


async def test_a_bundle_that_claims_other_times_for_its_sound_is_refused(app: RunningApp) -> None:
    files = await exported(app, await told(app))

    def lengthen(events: list[dict[str, Any]]) -> None:
        piece = next(event for event in events if event["type"].startswith("dev.rhapsode.input.audio"))
        piece["data"]["ms"] = 60_000

    answer = await imported(app, with_events(files, lengthen))
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle.invalid")


async def test_a_fork_has_the_sound_and_an_open_input_is_closed_in_it(
    app: RunningApp, log: TieredLog
) -> None:
    session = await new_session(app)
    async with calling(app, session) as caller:
        name = (await caller.open())["input"]
        await caller.speak(SPEECH)
        await caller.event("turn.completed")
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            answer = await http.post(f"/v1/sessions/{session}/fork", json={})
        assert answer.status_code == 201, answer.text
        fork = answer.json()["session_id"]
        there = await all_of(log, fork)
        assert [log_event.data["input"] for log_event in there if log_event.type == "input.closed"] == [name]
        here = pieces(await all_of(log, session))
        assert pieces(there) == here[: len(pieces(there))] != []
