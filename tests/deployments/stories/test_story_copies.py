"""A copy of a story hears what was narrated of it, if it is the copier's own, and takes none of it away."""

import json
from typing import Any

import httpx
import pytest

from deployments.faces.stories.scene_translator import SceneMessages
from pipeline.apps.narration_progress import ProgressFold, Source
from pipeline.apps.narrations import NARRATED
from pipeline.apps.stories import SceneSound
from pipeline.session_state.conversation import Conversation
from schemas.events import (
    AudioChunk,
    SentenceCompleted,
    SentenceReady,
    SessionStarted,
    TurnCompleted,
    TurnRequested,
    payload,
)
from schemas.events.recorded import Recorded
from schemas.ids import NOWHERE, Seq, TurnId, new_session_id
from schemas.settings import SessionSettings
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventlog.bundles import EVENTS, unzip, with_events, zipped
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
TEXT = "A short scene, which is enough."


async def told(http: httpx.AsyncClient) -> tuple[str, str]:
    """A story with one scene, and the scene."""
    story = (await http.post("/api/stories", json={})).json()["id"]
    scene = (await http.post(f"/api/stories/{story}/scenes", json={"content": TEXT})).json()["id"]
    return story, scene


async def narrate(http: httpx.AsyncClient, scene: str, *, again: bool = False) -> str:
    answer = await http.post(f"/api/tts/generate/{scene}", json={"force_regenerate": again})
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["session_id"])


async def state_of(http: httpx.AsyncClient, session: str) -> int:
    return (await http.get(f"/v1/sessions/{session}")).status_code


async def test_deleting_a_fork_leaves_the_story_its_narrations(http: httpx.AsyncClient) -> None:
    story, scene = await told(http)
    narration = await narrate(http, scene)
    fork = (await http.post(f"/v1/sessions/{story}/fork", json={})).json()["session_id"]
    assert (await http.delete(f"/api/stories/{fork}")).status_code == 204
    assert await state_of(http, narration) == 200


async def test_deleting_a_story_takes_every_try_at_its_narrations(http: httpx.AsyncClient) -> None:
    story, scene = await told(http)
    tries = [await narrate(http, scene), await narrate(http, scene, again=True)]
    assert len(set(tries)) == 2
    assert (await http.delete(f"/api/stories/{story}")).status_code == 204
    assert [await state_of(http, session) for session in tries] == [410, 410]


async def test_a_fork_does_not_wait_for_a_narration_of_its_origin(http: httpx.AsyncClient) -> None:
    story, scene = await told(http)
    narration = await narrate(http, scene)
    fork = (await http.post(f"/v1/sessions/{story}/fork", json={})).json()["session_id"]
    copied = scene.replace(story, fork)
    assert await narrate(http, copied) != narration


async def narrated_by(http: httpx.AsyncClient, session: str) -> tuple[str, str, bytes]:
    """A story, its scene, and its bundle, in which this session is the scene's narration."""
    story, scene = await told(http)
    await narrate(http, scene)
    files = unzip((await http.get(f"/v1/sessions/{story}/export")).content)
    assert b"narration.requested" in files[EVENTS]

    def estrange(events: list[dict[str, object]]) -> None:
        ready = json.loads(json.dumps(events[-1]))
        n = len(events) + 1
        ready |= {"id": f"{story}/{n}", "sequence": f"{n:010}", "type": "dev.rhapsode.narration.ready.v1"}
        ready["data"] = {"session": session, "chunks": 1, "audio_ms": 20}
        events[-1]["data"] = ready["data"] | {"by": "user"}
        events.append(ready)

    return story, scene, zipped(with_events(files, estrange))


async def test_two_imported_stories_share_no_narration(http: httpx.AsyncClient) -> None:
    story, scene, body = await narrated_by(http, "019aa3c6-0000-7000-8f00-2b1d7a5c9e10")
    made = [(await http.post("/v1/sessions/import", content=body)).json()["session_id"] for _ in range(2)]
    narrations = [await narrate(http, scene.replace(story, copy)) for copy in made]
    assert len({*narrations, NOWHERE}) == 3


async def test_times_of_a_session_that_is_no_story_are_those_of_its_file(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    """An import may name a narration of it, of which its file has nothing."""
    _, scene = await told(http)
    narration = await narrate(http, scene)
    await listen_until_over(app.ws_url, narration, NARRATED)
    _, _, body = await narrated_by(http, narration)

    def plain(events: list[dict[str, Any]]) -> None:
        events[0]["data"] |= {"kind": "session"}

    copy = (await http.post("/v1/sessions/import", content=zipped(with_events(unzip(body), plain)))).json()[
        "session_id"
    ]
    assert len((await http.get(f"/v1/sessions/{copy}/audio")).content) == 44
    for name in ("captions.vtt", "chapters.vtt"):
        assert (await http.get(f"/v1/sessions/{copy}/{name}")).text.split("\n", 1)[1] == ""


async def test_a_session_that_is_no_narration_is_not_heard_as_one(http: httpx.AsyncClient) -> None:
    own = (await http.post("/v1/sessions", json={})).json()["session_id"]
    story, scene, body = await narrated_by(http, own)
    copy = (await http.post("/v1/sessions/import", content=body)).json()["session_id"]
    copied = scene.replace(story, copy)
    for answer in (
        await http.post(f"/api/tts/generate/{copied}", json={}),
        await http.get(f"/api/tts/audio/{copied}/chunk/0"),
        await http.delete(f"/api/tts/generate/{copied}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "narration.not_found")


async def test_the_file_of_an_imported_story_has_nothing_of_a_session_that_is_no_narration(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    own = await create(http)
    turn = await ask(http, own, text="The secret of another session.")
    await listen_until_over(app.ws_url, own, turn)
    assert turn == NARRATED
    _, _, body = await narrated_by(http, own)
    copy = (await http.post("/v1/sessions/import", content=body)).json()["session_id"]
    view = (await http.get(f"/api/stories/{copy}")).json()
    assert view["scenes"][0]["narration"]["session_id"] == own, "it is named, and must not be heard"
    assert len((await http.get(f"/v1/sessions/{copy}/audio")).content) == 44
    for track in ("captions.vtt", "chapters.vtt"):
        assert "-->" not in (await http.get(f"/v1/sessions/{copy}/{track}")).text


async def test_a_narration_is_heard_for_one_scene_of_an_imported_story(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    story, scene = await told(http)
    await http.post(f"/api/stories/{story}/scenes", json={"content": TEXT})
    narration = await narrate(http, scene)
    await listen_until_over(app.ws_url, narration, NARRATED)
    files = unzip((await http.get(f"/v1/sessions/{story}/export")).content)

    def narrated(events: list[dict[str, object]]) -> None:
        """Both scenes name it."""
        known = events.pop()
        assert known["type"] == "dev.rhapsode.narration.requested.v1"
        ended = [one for one in events if one["type"] == "dev.rhapsode.turn.completed.v1"]
        for scene in ended:
            for kind, data in (("requested", {"by": "user"}), ("ready", {"chunks": 1, "audio_ms": 20})):
                named = {"type": f"dev.rhapsode.narration.{kind}.v1", "data": {"session": narration, **data}}
                n = len(events) + 1
                place = {"id": f"{story}/{n}", "sequence": f"{n:010}", "subject": scene["subject"]}
                events.append(known | named | place)

    copy = (await http.post("/v1/sessions/import", content=zipped(with_events(files, narrated)))).json()
    heard = (await http.get(f"/v1/sessions/{narration}/audio")).content
    assert len(heard) > 44
    assert (await http.get(f"/v1/sessions/{copy['session_id']}/audio")).content == heard, copy
    chapters = (await http.get(f"/v1/sessions/{copy['session_id']}/chapters.vtt")).text
    assert chapters.count("-->") == 1


async def test_no_titles_are_made_for_the_sound_of_a_session(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await create(http)
    turn = await ask(http, session, text="One of ever so many turns.")
    await listen_until_over(app.ws_url, session, turn)
    monkeypatch.setattr(SceneSound, "title", None)
    for place in ("audio", "captions.vtt", f"audio?turn={turn}"):
        answer = await http.get(f"/v1/sessions/{session}/{place}")
        assert (answer.status_code, len(answer.content) > 44) == (200, True), place


def test_a_sentence_that_ends_twice_in_a_bundle_is_one_chunk() -> None:
    settings = SessionSettings()
    story = Conversation()
    events = [
        (1, SessionStarted(settings=settings, kind="story")),
        (2, TurnRequested(kind="text", text="One.", settings=settings)),
        (3, SentenceReady(sentence=0, start=0, end=4, spoken="One.")),
        (4, AudioChunk(sentence=0, chunk=0, at_ms=0, ms=20, bytes=1)),
        (5, SentenceCompleted(sentence=0, at_ms=0, ms=20)),
        (6, SentenceCompleted(sentence=0, at_ms=0, ms=20)),
        (7, AudioChunk(sentence=0, chunk=1, at_ms=20, ms=20, bytes=1)),
        (8, TurnCompleted(sentences=1, audio_ms=20)),
    ]
    recorded = [
        Recorded(Seq(n), n, TurnId(2 if n > 2 else 0), event.type, event.v, payload(event))
        for n, event in events
    ]
    for one in recorded[:2]:
        story.apply(one)
    fold = ProgressFold(Source(new_session_id(), TurnId(2), story))
    scene = SceneMessages("scene", TurnId(2))
    assert len([one for one in recorded if fold.take(one) is not None]) == 1
    told = [message.message["type"] for one in recorded if (message := scene.take(one)) is not None]
    assert told == ["audio_chunk", "audio_chunk", "generation_complete"]
