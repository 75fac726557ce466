"""Scenes are written again in their place, edited, spoken by several voices, and exported with chapters."""

import asyncio
import io
import json
from itertools import accumulate
from typing import Any

import anyio
import av
import httpx
import pytest

from pipeline.engines.ports import Message
from pipeline.session_state.llm_context import history
from schemas.ids import SessionId, TurnId
from tests.support.clients.native_client import SCENES, STREAM
from tests.support.eventlog.bundles import exported, imported
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
FIRST, SECOND, OTHER = "The lamp was lit.", "The fox knocked.", "A gull came in instead."
PARAGRAPHS = "The keeper said good night.\n\nThe fox said nothing at all."
ALTO = {"start": 0, "end": 5, "voice": "alto"}
app = app_fixture(
    with_workers=True,
    llm={
        "reply": SECOND,
        "reply_to": {"instead": OTHER, "paragraphs": PARAGRAPHS, "slowly": SECOND * 400},
        "fail_on": "break off",
        "per_delta_ms": 2,
    },
)


@pytest.fixture
async def story(http: httpx.AsyncClient) -> str:
    """A story of three scenes: one that was given, and two that were written."""
    story = str((await http.post("/api/stories", json={"title": "Three"})).json()["id"])
    for scene in ({"content": FIRST}, {"custom_prompt": "The fox?"}, {}):
        await write(http, story, **scene)
    return story


async def write(http: httpx.AsyncClient, story: str, **scene: Any) -> dict[str, Any]:
    answer = await http.post(SCENES.format(story=story), json=scene)
    assert answer.status_code == 201, answer.text
    written: dict[str, Any] = answer.json()
    return written


async def scenes(http: httpx.AsyncClient, story: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get(f"/api/stories/{story}")).json()["scenes"]
    assert [scene["number"] for scene in found] == list(range(1, len(found) + 1))
    return found


async def told_the_model(app: RunningApp, scene: str) -> list[str]:
    """The texts that the language model knew of the story when it wrote the scene."""
    story, _, turn = scene.partition(".")
    assert app.loop is not None
    view = asyncio.run_coroutine_threadsafe(app.services.sessions.view(SessionId(story)), app.loop)
    conversation, _ = await asyncio.wrap_future(view)
    known: tuple[Message, ...] = history(conversation, before=TurnId(int(turn)), room=10_000)
    return [one.content for one in known if one.role == "assistant"]


async def test_a_scene_written_again_stands_in_its_place(
    app: RunningApp, http: httpx.AsyncClient, story: str
) -> None:
    before = await scenes(http, story)
    again = await write(http, story, custom_prompt="A gull instead", replaces=before[1]["id"])
    assert (again["number"], again["content"]) == (2, OTHER)
    assert await told_the_model(app, again["id"]) == [FIRST], "not what comes after it"
    now = await scenes(http, story)
    assert [one["content"] for one in now] == [FIRST, OTHER, SECOND]
    assert (await http.get(f"/api/stories/{story}/scenes/2")).json() == again
    further = await write(http, story)
    assert await told_the_model(app, further["id"]) == [FIRST, OTHER, SECOND]


async def test_an_empty_direction_is_that_of_the_scene(http: httpx.AsyncClient, story: str) -> None:
    _, second, third = await scenes(http, story)
    assert (await write(http, story, replaces=second["id"]))["prompt"] == "The fox?"
    assert (await write(http, story, replaces=third["id"]))["prompt"] == third["prompt"]


async def test_a_text_takes_the_place_of_a_scene_and_can_be_replaced_again(
    http: httpx.AsyncClient, story: str
) -> None:
    names = [(await scenes(http, story))[0]["id"]]
    for number in range(3):
        edited = await write(http, story, content=f"Edited {number}.", replaces=names[-1])
        names.append(edited["id"])
    await write(http, story, content="The one before counts as well.", replaces=names[0])
    assert (await scenes(http, story))[0]["content"] == "The one before counts as well."
    assert len(await scenes(http, story)) == 3


async def test_a_scene_that_fails_or_is_stopped_leaves_the_old_one_in_its_place(
    http: httpx.AsyncClient, story: str
) -> None:
    before = await scenes(http, story)
    failed = await write(http, story, custom_prompt="break off", replaces=before[1]["id"])
    assert (failed["status"], failed["number"]) == ("failed", 2)
    assert await scenes(http, story) == before
    wish = {"custom_prompt": "slowly", "replaces": before[1]["id"]}
    running = (await http.post(SCENES.format(story=story) + "?wait=false", json=wish)).json()
    assert [one["id"] for one in await scenes(http, story)][1] == running["id"]
    await http.post(f"/v1/sessions/{story}/control", json={"action": "stop"})
    with anyio.fail_after(30):
        while (await scenes(http, story))[1]["id"] == running["id"]:
            pass
    assert await scenes(http, story) == before


async def test_the_same_key_writes_a_scene_again_once(http: httpx.AsyncClient, story: str) -> None:
    wish = {"custom_prompt": "A gull instead", "replaces": (await scenes(http, story))[2]["id"], "key": "k"}
    made = [await write(http, story, **wish) for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]


@pytest.mark.parametrize("path", [SCENES, STREAM])
async def test_only_a_scene_of_the_story_can_be_replaced_and_only_when_it_is_written(
    http: httpx.AsyncClient, story: str, path: str
) -> None:
    other = (await http.post("/api/stories", json={})).json()["id"]
    foreign = (await write(http, other, content=FIRST))["id"]
    for name in (foreign, f"{story}.1", f"{story}.999", "nonsense"):
        answer = await http.post(path.format(story=story), json={"replaces": name})
        told = answer.json()
        assert (answer.status_code, told["code"], told["field"]) == (404, "scene.not_found", "replaces")
    slowly = {"custom_prompt": "slowly"}
    running = (await http.post(SCENES.format(story=story) + "?wait=false", json=slowly)).json()["id"]
    answer = await http.post(path.format(story=story), json={"replaces": running})
    assert (answer.status_code, answer.json()["code"]) == (409, "scene.not_ready")
    await http.post(f"/v1/sessions/{story}/control", json={"action": "stop"})


async def test_a_copy_and_an_imported_story_have_the_scenes_that_stand_there(
    http: httpx.AsyncClient, story: str
) -> None:
    await write(http, story, content="Edited.", replaces=(await scenes(http, story))[0]["id"])
    fork = (await http.post(f"/v1/sessions/{story}/fork", json={})).json()["session_id"]
    carried = (await imported(http, await exported(http, story)))["session_id"]
    texts = [one["content"] for one in await scenes(http, story)]
    assert texts[0] == "Edited."
    for copy in (fork, carried):
        assert [one["content"] for one in await scenes(http, copy)] == texts


async def narrated(http: httpx.AsyncClient, scene: str, **wish: Any) -> dict[str, Any]:
    """Have the scene read out; its narration's session when it is ready."""
    answer = await http.post(f"/api/tts/generate/{scene}", json=wish)
    assert answer.status_code == 202, answer.text
    session = answer.json()["session_id"]
    story, _, _ = scene.partition(".")
    with anyio.fail_after(30):
        while True:
            found = next(one for one in await scenes(http, story) if one["id"] == scene)["narration"]
            if found["status"] == "ready" and found["session_id"] == session:
                return {"session": session, "ms": found["audio_ms"]}


async def voices_of(http: httpx.AsyncClient, session: str) -> list[str]:
    events = (await http.get(f"/v1/sessions/{session}/events?follow=false")).text
    return [
        line.partition('"voice":"')[2].partition('"')[0]
        for line in events.splitlines()
        if "sentence.voiced" in line
    ]


async def test_a_paragraph_is_spoken_by_another_voice(http: httpx.AsyncClient, story: str) -> None:
    scene = (await write(http, story, content=PARAGRAPHS))["id"]
    first = await narrated(http, scene)
    assert set(await voices_of(http, first["session"])) == {"joe"}
    start = PARAGRAPHS.index("The fox")
    parts = [ALTO | {"start": start, "end": len(PARAGRAPHS)}]
    again = await narrated(http, scene, voices=parts)
    assert again["session"] != first["session"]
    assert await voices_of(http, again["session"]) == ["joe", "alto"]
    events = (await http.get(f"/v1/sessions/{again['session']}/events?follow=false")).text
    asked = next(line for line in events.splitlines() if "turn.requested" in line)
    # A release that knows no voices of parts ignores them: what it reads are the marks.
    assert '"voices":[{"start":' in asked
    assert '"marks"' not in asked or '"marks":[]' in asked


async def sentences_of(http: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    """The events `sentence.voiced` and `sentence.completed` of each sentence that was spoken, in one."""
    events = (await http.get(f"/v1/sessions/{session}/events?follow=false")).text
    told: dict[int, dict[str, Any]] = {}
    for line in events.splitlines():
        if line.startswith("data: ") and ("sentence.voiced" in line or "sentence.completed" in line):
            data = json.loads(line.removeprefix("data: "))["data"]
            told.setdefault(data["sentence"], {}).update(data)
    return [told[number] for number in sorted(told)]


@pytest.mark.parametrize("live", [False, True])
async def test_a_part_is_spoken_again_alone_and_the_rest_keeps_its_sound(
    http: httpx.AsyncClient, story: str, *, live: bool
) -> None:
    if live:
        await http.post(STREAM.format(story=story), json={"custom_prompt": "paragraphs"})
        while (found := (await scenes(http, story))[-1])["status"] != "completed":
            pass
        scene, session = found["id"], story
    else:
        scene = (await write(http, story, content=PARAGRAPHS))["id"]
        session = (await narrated(http, scene))["session"]
    first, second = (await sentences_of(http, session))[-2:]
    await http.put("/api/tts/settings", json={"speech_speed": 2.0})
    parts = [{"start": 0, "end": PARAGRAPHS.index("\n")}]
    again = await narrated(http, scene, parts=parts)
    await http.put("/api/tts/settings", json={"speech_speed": 1.0})
    spoken, kept = await sentences_of(http, again["session"])
    assert spoken["made_ms"] is not None
    assert kept["made_ms"] is None
    assert (spoken["ms"] < first["ms"], kept["ms"]) == (True, second["ms"])
    assert kept["at_ms"] == spoken["at_ms"] + spoken["ms"]
    assert again["ms"] == spoken["ms"] + kept["ms"]
    assert kept["words"] == [
        word | {name: word[name] - second["at_ms"] + kept["at_ms"] for name in ("start_ms", "end_ms")}
        for word in second["words"]
    ]
    file = await http.get(f"/v1/sessions/{again['session']}/audio?format=mp3")
    assert played_ms(file.content) == pytest.approx(again["ms"], abs=120)


async def test_a_part_behind_the_end_of_the_scene_is_refused(http: httpx.AsyncClient, story: str) -> None:
    scene = (await write(http, story, content=PARAGRAPHS))["id"]
    parts = [{"start": 0, "end": 5}, {"start": len(PARAGRAPHS), "end": len(PARAGRAPHS) + 5}]
    refused = await http.post(f"/api/tts/generate/{scene}", json={"parts": parts})
    assert (refused.status_code, refused.json()["field"]) == (422, "parts.1.start")


async def test_a_part_spoken_by_another_voice_leaves_the_others_as_they_were(
    http: httpx.AsyncClient, story: str
) -> None:
    scene = (await write(http, story, content=PARAGRAPHS))["id"]
    begin = PARAGRAPHS.index("The fox")
    await narrated(http, scene, voices=[ALTO | {"start": begin, "end": len(PARAGRAPHS)}])
    again = await narrated(http, scene, parts=[{"start": 0, "end": begin}])
    assert await voices_of(http, again["session"]) == ["joe", "alto"]
    await http.delete(f"/v1/sessions/{again['session']}")
    anew = await narrated(http, scene, parts=[{"start": 0, "end": begin}])
    assert await voices_of(http, anew["session"]) == ["joe", "joe"], "no sound is left that could be kept"


@pytest.mark.parametrize(
    ("part", "code", "field"),
    [
        ({"start": 0, "end": 5, "voice": "nobody"}, "voice.unknown", "voices.0.voice"),
        ({"start": -1, "end": 5, "voice": "alto"}, "input.invalid", "voices.0.start"),
        ({"start": 5, "end": 5, "voice": "alto"}, "input.invalid", "voices.0"),
        ({"start": 0, "end": 2**54, "voice": "alto"}, "input.invalid", "voices.0.end"),
        ({"start": 0, "end": 5}, "input.invalid", "voices.0.voice"),
        ({"start": 0, "end": 5, "voice": "a", "speed": 1}, "input.unknown_field", "voices.0.speed"),
    ],
)
async def test_a_wrong_part_is_refused_by_its_place(
    http: httpx.AsyncClient, story: str, part: dict[str, Any], code: str, field: str
) -> None:
    scene = (await scenes(http, story))[0]["id"]
    answer = await http.post(f"/api/tts/generate/{scene}", json={"voices": [part]})
    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (422, code, field)
    assert (await scenes(http, story))[0]["narration"] is None
    many = await http.post(f"/api/tts/generate/{scene}", json={"voices": [ALTO] * 201})
    assert (many.status_code, many.json()["code"]) == (422, "input.invalid")


def played_ms(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return sum(1_000 * f.samples / f.sample_rate for f in container.decode(audio=0))


@pytest.mark.parametrize("fmt", ["opus", "mp3", "wav"])
@pytest.mark.parametrize("small", [True, False])
async def test_the_file_of_a_story_has_its_scenes_as_chapters(
    http: httpx.AsyncClient,
    app: RunningApp,
    story: str,
    monkeypatch: pytest.MonkeyPatch,
    fmt: str,
    *,
    small: bool,
) -> None:
    monkeypatch.setattr(app.services.recordings, "small", lambda wish: small)
    first, second, _ = await scenes(http, story)
    read = [await narrated(http, first["id"])]
    edited = await write(http, story, content=PARAGRAPHS, replaces=second["id"])
    read.append(await narrated(http, edited["id"]))
    begins, total = [0, read[0]["ms"]], read[0]["ms"] + read[1]["ms"]
    path = f"/v1/sessions/{story}/audio?format={fmt}"
    file = await http.get(path)
    assert played_ms(file.content) == pytest.approx(total, abs=120)
    with av.open(io.BytesIO(file.content)) as container:
        found = [
            (1_000 * one["start"] * one["time_base"], one["metadata"]["title"])
            for one in container.chapters()
        ]
    titles = [f"1: {FIRST}", f"2: {' '.join(PARAGRAPHS.split())}"]
    assert found == ([] if fmt == "wav" else list(zip(begins, titles, strict=True)))
    size = len(file.content)
    part = await http.get(path, headers={"Range": f"bytes=50-{size - 10}"})
    assert (part.status_code, part.content) == (206, file.content[50 : size - 9])


async def test_chapters_and_captions_of_a_story_have_the_times_of_its_file(
    http: httpx.AsyncClient, story: str
) -> None:
    read = [await narrated(http, scene["id"]) for scene in reversed(await scenes(http, story))]
    ends = accumulate((one["ms"] for one in reversed(read)), initial=0)
    begin, second, third, end = (f"00:00:{ms / 1_000:06.3f}" for ms in ends)
    chapters = (await http.get(f"/v1/sessions/{story}/chapters.vtt")).text.split("\n\n")
    assert chapters == [
        "WEBVTT - Three",
        f"{begin} --> {second}\n1: {FIRST}",
        f"{second} --> {third}\n2: The fox?",
        f"{third} --> {end}\n3: {SECOND}\n",
    ]
    captions = (await http.get(f"/v1/sessions/{story}/captions.vtt")).text
    assert captions.index(FIRST) < captions.rindex(second) < captions.index(SECOND)


async def test_a_narration_that_was_deleted_is_not_in_the_file(http: httpx.AsyncClient, story: str) -> None:
    first = (await scenes(http, story))[0]["id"]
    made = await narrated(http, first)
    assert FIRST in (await http.get(f"/v1/sessions/{story}/chapters.vtt")).text
    await http.delete(f"/v1/sessions/{made['session']}")
    assert (await http.get(f"/v1/sessions/{story}/chapters.vtt")).text == "WEBVTT - Three\n"
    assert len((await http.get(f"/v1/sessions/{story}/audio")).content) == 44
