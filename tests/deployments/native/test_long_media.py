"""The audio of long sessions: made while it is sent, with the sizes, ranges and bytes of a short one."""

import io
import tracemalloc
from collections.abc import AsyncGenerator
from typing import get_args

import anyio
import av
import httpx
import pytest

from pipeline.audio.audio_files import StoredChunk, whole_file
from pipeline.audio.audio_formats import AudioFormat
from tests.support.clients.native_client import ask, create, frames, listen_until_over, open_stream
from tests.support.eventlog.bundles import PACKETS, events_of, exported, imported, unzip, with_sound, zipped
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
FORMATS = get_args(AudioFormat)


REPLY = "The fox came to the river. It was wide. Nobody was there, and so it waited for the night. "
app = app_fixture(
    # Written as fast as it can be spoken, an answer without end would leave no core for questions about it.
    llm={
        "reply": REPLY,
        "reply_to": {"slowly": "On and on. " * 6_000},
        "delta_chars": 40,
        "per_delta_ms": 100,
    },
    tts={"ms_per_char": 60},
    session={"max_tokens": 4_096},
    limits={"whole_file_bytes": 1_000},
)


@pytest.fixture
async def http(app: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        yield client


@pytest.fixture
async def session(app: RunningApp, http: httpx.AsyncClient) -> str:
    session = await create(http)
    for _ in range(2):
        turn = await ask(http, session, prompt="Tell me")
        await listen_until_over(app.ws_url, session, turn)
    return session


async def at_once(http: httpx.AsyncClient, session: str, fmt: AudioFormat) -> bytes:
    """The file as it is made for short sessions, from what the session's bundle has."""
    files, chunks = unzip(await exported(http, session)), []
    for event in events_of(files):
        if "audioref" in event:
            first, _, last = event["audioref"].rpartition("=")[2].partition("-")
            packets = files[PACKETS][int(first) : int(last) + 1]
            chunks.append(StoredChunk(packets, event["data"]["chunk"], event["data"]["ms"]))
    return whole_file(fmt, chunks, complete=True)


def duration_ms(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        return sum(1_000 * f.samples / f.sample_rate for f in container.decode(audio=0))


@pytest.mark.parametrize("fmt", FORMATS)
async def test_its_size_is_told_and_its_ranges_are_parts_of_it(
    app: RunningApp, http: httpx.AsyncClient, session: str, fmt: AudioFormat
) -> None:
    path = f"/v1/sessions/{session}/audio?format={fmt}"
    whole = await http.get(path)
    size = len(whole.content)
    assert int(whole.headers["content-length"]) == size > 10_000
    other = await at_once(http, session, fmt)
    if fmt == "opus":  # its pages are cut otherwise
        assert duration_ms(whole.content) == duration_ms(other)
    else:
        assert whole.content == other
    for first, last in [(0, 9), (0, 99), (43, 45), (44, 1_000), (size // 2, size - 1), (size - 1, size - 1)]:
        headers = {"Range": f"bytes={first}-{last}", "If-Range": whole.headers["etag"]}
        part = await http.get(path, headers=headers)
        assert (part.status_code, part.content) == (206, whole.content[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{size}"
    tail = await http.get(path, headers={"Range": "bytes=-50"})
    assert tail.content == whole.content[-50:]
    beyond = await http.get(path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    stale = await http.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    same = await http.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert same.status_code == 304


async def test_one_turn_of_it_is_a_file_as_well(
    app: RunningApp, http: httpx.AsyncClient, session: str
) -> None:
    turns = [turn["turn"] for turn in (await http.get(f"/v1/sessions/{session}")).json()["turns"]]
    whole = (await http.get(f"/v1/sessions/{session}/audio?format=pcm16")).content
    parts = [
        (await http.get(f"/v1/sessions/{session}/audio?format=pcm16&turn={turn}")).content for turn in turns
    ]
    assert len(parts) == 2
    assert whole == b"".join(parts)


@pytest.mark.parametrize("fmt", FORMATS)
async def test_unfinished_sound_is_given_as_far_as_it_is_made(
    app: RunningApp, http: httpx.AsyncClient, fmt: AudioFormat
) -> None:
    session, made_ms = await create(http), 0
    await ask(http, session, prompt="Tell me slowly")

    async with open_stream(app.ws_url, session, audio="opus") as socket:
        with anyio.fail_after(60):
            async for event, _ in frames(socket):
                made_ms += event["data"]["ms"] if event["type"] == "audio.chunk" else 0
                if made_ms >= 2_000:
                    break
    answer = await http.get(f"/v1/sessions/{session}/audio?format={fmt}")
    assert answer.status_code == 200
    assert ("content-length" in answer.headers) == (fmt != "mp3")
    assert len(answer.content) > 1_000
    await http.post(f"/v1/sessions/{session}/control", json={"action": "stop"})


async def test_a_gateway_holds_a_few_chunks_of_it(
    app: RunningApp, http: httpx.AsyncClient, session: str
) -> None:
    """Nine minutes of packets of one byte: 84 kB that are 27 MB of sound."""
    silence = with_sound(unzip(await exported(http, session)), [bytes([1 << 3])] * 1_000, pieces=28)
    bomb = (await imported(http, zipped(silence)))["session_id"]
    received = 0
    tracemalloc.start()
    try:
        async with http.stream("GET", f"/v1/sessions/{bomb}/audio?format=wav") as answer:
            async for piece in answer.aiter_raw():
                received += len(piece)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received == int(answer.headers["content-length"]) > 26_880_000
    assert most < 12_000_000
