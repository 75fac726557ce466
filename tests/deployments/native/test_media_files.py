"""The audio made so far and the captions, as files."""

import asyncio
import io
import re
from collections.abc import Iterator
from typing import Any

import av
import httpx
import pytest

from pipeline.delivery import captions
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


@pytest.fixture
async def told(app: RunningApp, http: httpx.AsyncClient) -> tuple[str, int, Heard]:
    session = await create(http, title="A story")
    turn = await ask(http, session, prompt="Tell me a story")
    return session, turn, await listen_until_over(app.ws_url, session, turn)


def duration_ms(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return sum(1_000 * f.samples / f.sample_rate for f in container.decode(audio=0))


@pytest.mark.parametrize("fmt", ["wav", "mp3", "opus"])
async def test_the_file_plays_as_long_as_the_turn_is(
    http: httpx.AsyncClient, told: tuple[str, int, Heard], fmt: str
) -> None:
    session, turn, heard = told
    answer = await http.get(f"/v1/sessions/{session}/audio", params={"format": fmt, "turn": turn})
    assert answer.status_code == 200
    total = heard.of("turn.completed")[0]["data"]["audio_ms"]
    assert duration_ms(answer.content) == pytest.approx(total, abs=120)


async def test_the_files_of_an_answer_have_what_goes_on_with_it(
    app: RunningApp, http: httpx.AsyncClient, told: tuple[str, int, Heard]
) -> None:
    session, turn, heard = told
    further = await ask(http, session, prompt="Go on.", continues=turn)
    more = await listen_until_over(app.ws_url, session, further, heard)
    total = sum(event["data"]["audio_ms"] for event in more.of("turn.completed"))
    for answer, ms in ((turn, total), (further, more.of("turn.completed")[-1]["data"]["audio_ms"])):
        wav = await http.get(f"/v1/sessions/{session}/audio", params={"turn": answer})
        assert duration_ms(wav.content) == pytest.approx(ms, abs=120)
    vtt = (await http.get(f"/v1/sessions/{session}/captions.vtt", params={"turn": turn})).text
    assert vtt == (await http.get(f"/v1/sessions/{session}/captions.vtt")).text


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("bytes=0-99", 0, 99), ("bytes=100-", 100, None), ("bytes=-50", -50, None)]
)
async def test_ranges_are_parts_of_the_whole(
    http: httpx.AsyncClient, told: tuple[str, int, Heard], wanted: str, first: int, last: int | None
) -> None:
    path = f"/v1/sessions/{told[0]}/audio?format=mp3"
    whole = await http.get(path)
    part = await http.get(path, headers={"Range": wanted, "If-Range": whole.headers["etag"]})
    assert part.status_code == 206
    assert part.content == whole.content[first : None if last is None else last + 1]
    assert part.headers["content-range"].endswith(f"/{len(whole.content)}")


async def test_a_range_past_the_end_is_refused_and_a_stale_one_gets_the_whole(
    http: httpx.AsyncClient, told: tuple[str, int, Heard]
) -> None:
    path = f"/v1/sessions/{told[0]}/audio?format=mp3"
    whole = await http.get(path)
    assert (await http.get(path, headers={"Range": "bytes=99999999-"})).status_code == 416
    stale = await http.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    same = await http.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert same.status_code == 304


async def test_captions_follow_the_sentences_and_the_words(
    http: httpx.AsyncClient, told: tuple[str, int, Heard]
) -> None:
    session, turn, heard = told
    vtt = (await http.get(f"/v1/sessions/{session}/captions.vtt")).text
    srt = (await http.get(f"/v1/sessions/{session}/captions.srt", params={"turn": turn})).text
    words = (await http.get(f"/v1/sessions/{session}/captions.vtt", params={"words": True})).text
    assert vtt.startswith("WEBVTT - A story\n\n00:00:00.000 --> ")
    assert vtt.count("-->") == srt.count("-->") == len(heard.of("sentence.completed"))
    assert words.count("-->") == sum(len(f["data"]["words"]) for f in heard.of("sentence.voiced"))
    assert "The fox said nothing, but sat down by the fire." in srt


async def test_words_of_captions_are_where_they_are_heard_at_twice_the_speed(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    said, places = "The keeper counted 12 ships from here.", []
    for speed in (1, 2):
        session = await create(http, settings={"speech_speed": speed})
        turn = await ask(http, session, text=said)
        await listen_until_over(app.ws_url, session, turn)
        vtt = (await http.get(f"/v1/sessions/{session}/captions.vtt", params={"words": True})).text
        places.append([1_000 * int(s) + int(ms) for s, ms in re.findall(r":(\d\d)\.(\d{3})", vtt)])
        assert vtt.splitlines()[3::3] == said.split()
    usual, fast = places
    assert fast[-1] > 200
    assert fast == pytest.approx([place / 2 for place in usual], abs=10)


async def test_captions_are_made_beside_the_loop(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a long session take seconds, in which nobody else would be served."""
    on_a_loop: list[bool] = []
    render = captions.render

    def watched(*given: Any, **named: Any) -> Iterator[str]:
        for piece in render(*given, **named):
            on_a_loop.append(asyncio._get_running_loop() is not None)
            yield piece

    monkeypatch.setattr(captions, "render", watched)
    assert (await http.get(f"/v1/sessions/{await create(http)}/captions.vtt")).status_code == 200
    assert on_a_loop == [False]


def test_captions_are_made_as_they_are_taken() -> None:
    made = 0

    def cues() -> Iterator[captions.Cue]:
        nonlocal made
        for made in range(1, 20_001):
            yield captions.Cue(made, made + 1, "wide")

    pieces = captions.caption_file(cues(), "srt")
    begin = next(pieces)
    assert made < 10_000
    whole = begin + "".join(pieces)
    assert whole.startswith("1\n00:00:00,001 --> 00:00:00,002\nwide\n\n2\n")
    assert whole.endswith("\n\n20000\n00:00:20,000 --> 00:00:20,001\nwide\n")
    assert "".join(captions.caption_file([], "srt")) == "\n"


async def test_an_unknown_turn_or_format_is_refused(
    http: httpx.AsyncClient, told: tuple[str, int, Heard]
) -> None:
    base = f"/v1/sessions/{told[0]}"
    assert (await http.get(f"{base}/audio?turn=999")).json()["code"] == "turn.not_found"
    assert (await http.get(f"{base}/audio?format=aiff")).json()["field"] == "format"
    assert (await http.get(f"{base}/captions.ass")).json()["field"] == "kind"


async def test_a_session_without_sound_has_empty_files(http: httpx.AsyncClient) -> None:
    session = await create(http)
    assert len((await http.get(f"/v1/sessions/{session}/audio")).content) == 44
    assert (await http.get(f"/v1/sessions/{session}/captions.vtt")).text == "WEBVTT\n"
