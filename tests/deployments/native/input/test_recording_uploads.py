"""Uploads: any recording is heard as far as it can be, and everything else is refused with a reason."""

import resource
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import psutil
import pytest

from tests.support.clients.native_speaker import austen, events_of, new_session, silence
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, app_fixture, running_app, scripted_settings
from tests.support.speech.sound_files import encoded, flac, flac_with_tags, jpeg, mp4_that_claims, video, wav

pytestmark = pytest.mark.anyio
LIMIT_S = 60
app = app_fixture(
    stt={"texts": ["A story, please."]}, limits={"upload_s": 12, "upload_bytes": 1_000_000, "rejoin_s": 0.3}
)
"""Takes up to 12 s and 1 MB."""


async def upload(app: RunningApp, body: bytes, *, name: str = "", **listening: Any) -> httpx.Response:
    """Into a session of its own."""
    session = await new_session(app, **listening)
    return await send(app, session, body, name=name)


async def send(app: RunningApp, session: str, body: bytes, *, name: str = "") -> httpx.Response:
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        with anyio.fail_after(LIMIT_S):
            return await http.post(f"/v1/sessions/{session}/recordings", params={"name": name}, content=body)


def refused(answer: httpx.Response) -> tuple[int, str, str | None]:
    problem = answer.json()
    return answer.status_code, problem["code"], problem.get("field")


SPEECH = silence(200) + austen() + silence(400)
FORMATS = [
    ("wav", "pcm_s16le"),
    ("flac", "flac"),
    ("mp3", "libmp3lame"),
    ("ogg", "libopus"),
    ("ipod", "aac"),
    ("webm", "libopus"),
]


@pytest.mark.parametrize(("container", "codec"), FORMATS)
async def test_a_recording_is_heard_in_every_container(app: RunningApp, container: str, codec: str) -> None:
    rate = 48_000 if codec == "libopus" else 16_000
    answer = await upload(app, encoded(SPEECH, container, codec, rate=rate), name=f"letter.{container}")
    assert answer.status_code == 200, answer.text
    heard = answer.json()
    assert heard["text"] == "A story, please."
    assert heard["turn"]
    assert abs(heard["ms"] - len(SPEECH) // 32) < 150


@pytest.mark.parametrize(("container", "codec"), FORMATS)
async def test_of_a_file_that_breaks_off_is_heard_what_is_there(
    app: RunningApp, container: str, codec: str
) -> None:
    whole = encoded(SPEECH, container, codec, rate=48_000 if codec == "libopus" else 16_000)
    answer = await upload(app, whole[: len(whole) * 2 // 3])
    if answer.status_code == 200:
        assert answer.json()["text"] == "A story, please."
    else:  # what says how the rest is to be read stands at the end of the file
        assert container == "ipod"
        assert refused(answer) == (422, "sound.unreadable", "body")


@pytest.mark.parametrize("lengths", [0, 1, 100, 1_000])
async def test_a_file_of_which_only_the_beginning_arrived_hangs_nobody(app: RunningApp, lengths: int) -> None:
    answer = await upload(app, encoded(SPEECH, "mp3", "libmp3lame")[:lengths])
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert refused(answer) == (422, "sound.unreadable", "body")


NO_SOUND = {
    "nothing": b"",
    "a picture that is called a recording": jpeg(),
    "a film without sound": video(),
    "a text": b"Dear Sir or Madam, this is no recording. " * 50,
    "a web page": b"<!doctype html><title>404</title>" * 20,
    "zeros": bytes(5_000),
    "random bytes": np.random.default_rng(7).bytes(5_000),
    "a header and nothing else": wav(b""),
    "a list of files": b"ffconcat version 1.0\nfile holiday.wav\n",
    "a description of a call": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 49170 RTP/AVP 0\n",
}


@pytest.mark.parametrize("what", NO_SOUND)
async def test_a_file_without_sound_is_refused(app: RunningApp, what: str) -> None:
    answer = await upload(app, NO_SOUND[what], name="holiday.wav")
    assert refused(answer) == (422, "sound.unreadable", "body")


def peak_mb() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def decoding() -> list[psutil.Process]:
    """Processes of this one that decode recordings."""
    return [
        child
        for child in psutil.Process().children()
        if child.is_running() and "pipeline.audio.sound_process" in child.cmdline()
    ]


async def test_files_that_are_decoded_for_minutes_keep_no_other_recording_waiting(app: RunningApp) -> None:
    """A megabyte of tags takes 40 s, sixteen take hours, and nothing would end a thread."""
    answers: list[httpx.Response] = []

    async def stranger() -> None:
        answers.append(await upload(app, flac_with_tags(80_000)))

    async with anyio.create_task_group() as strangers:
        for _ in range(4):
            strangers.start_soon(stranger)
        await eventually(lambda: len(decoding()) == 4)
        assert (await upload(app, wav(SPEECH))).status_code == 200
        assert len(decoding()) == 4
        for child in decoding():
            child.kill()
    assert [refused(answer)[:2] for answer in answers] == [(503, "gateway.busy")] * 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(flac_with_tags(80_000), "sound.unreadable", id="minutes for its tags"),
        pytest.param(mp4_that_claims(5_000_000, tracks=8), "input.too_long", id="a gigabyte for its tables"),
    ],
)
async def test_a_file_that_takes_more_than_sound_does_is_refused(
    app: RunningApp, body: bytes, code: str
) -> None:
    before = peak_mb()
    assert refused(await upload(app, body)) == (422, code, "body")
    assert peak_mb() - before < 200


async def test_more_recordings_than_can_be_heard_are_not_taken(app: RunningApp) -> None:
    assert app.services is not None
    with ExitStack() as others:
        for _ in range(app.settings.limits.inputs):
            others.enter_context(app.services.arriving.file(""))
        assert refused(await upload(app, wav(SPEECH)))[:2] == (503, "gateway.busy")
    assert (await upload(app, wav(SPEECH))).status_code == 200


async def test_a_header_that_says_three_hours_is_believed_before_anything_is_decoded(app: RunningApp) -> None:
    session = await new_session(app)
    answer = await send(app, session, flac(SPEECH, claims_s=3 * 3_600))
    assert refused(answer) == (422, "input.too_long", "body")
    assert [event["type"] for event in await events_of(app, session)] == ["session.started"]


async def test_a_header_that_the_size_of_the_file_contradicts_is_not(app: RunningApp) -> None:
    answer = await upload(app, wav(SPEECH, claims_s=3 * 3_600))
    assert answer.json()["text"] == "A story, please."


async def test_a_recording_that_turns_out_to_be_too_long_is_not_asked(app: RunningApp) -> None:
    session = await new_session(app)
    answer = await send(app, session, flac((SPEECH + silence(1_000)) * 3, claims_s=0))
    assert refused(answer) == (422, "input.too_long", "body")
    events = await events_of(app, session)
    assert events[-1]["type"] == "input.closed"
    assert (events[-1]["data"]["reason"], events[-1]["data"]["code"]) == ("failed", "input.too_long")
    kinds = [event["type"] for event in events]
    assert "transcript.final" in kinds
    assert "turn.requested" not in kinds
    assert (await send(app, session, wav(SPEECH))).json()["text"] == "A story, please."


async def test_a_body_that_is_too_large_is_refused(app: RunningApp) -> None:
    session = await new_session(app)
    answer = await send(app, session, wav(bytes(1_000_000)))
    assert refused(answer)[:2] == (413, "body.too_large")
    assert len(await events_of(app, session)) == 1


@pytest.mark.parametrize("rate", [1_000, 4_000, 11_025, 96_000])
async def test_a_rate_that_nobody_uses_is_read_as_it_says(app: RunningApp, rate: int) -> None:
    """Sound that is slowed down or sped up so much may be no speech, but it is a recording."""
    answer = await upload(app, wav(SPEECH[: min(64_000, 16 * rate)], rate=rate))
    assert answer.status_code == 200, answer.text


async def test_silence_is_a_recording_in_which_nothing_is_said(app: RunningApp) -> None:
    session = await new_session(app)
    heard = (await send(app, session, wav(silence(2_000)))).json()
    assert (heard["text"], heard["turn"], heard["utterances"]) == ("", None, [])


async def test_a_session_that_is_over_hears_nothing(app: RunningApp) -> None:
    session = await new_session(app)
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        await http.delete(f"/v1/sessions/{session}")
    assert refused(await send(app, session, wav(SPEECH)))[:2] == (410, "session.gone")
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert refused(await send(app, unknown, wav(SPEECH)))[:2] == (404, "session.not_found")


async def test_a_recording_that_cannot_be_asked_is_written_down_and_told(tmp_path: Path) -> None:
    """The queue is full; the recording need not be sent again to be read."""
    settings = scripted_settings(
        tmp_path,
        llm={"reply": "Word after word. " * 400, "per_delta_ms": 50},
        stt={"texts": ["One more."]},
        limits={"queued_turns": 0},
    )
    with running_app(settings) as app:
        session = await new_session(app)
        async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
            await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "Go on and on."})
        answer = await send(app, session, wav(SPEECH))
        events = await events_of(app, session)
    assert refused(answer)[:2] == (429, "turn.queue_full")
    assert [f["data"]["text"] for f in events if f["type"] == "transcript.final"] == ["One more."]
    assert [f["data"]["reason"] for f in events if f["type"] == "input.closed"] == ["end"]
