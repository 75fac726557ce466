"""The Python client has a loudspeaker and a blocking form besides; test_conformance.py has the rest."""

from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from rhapsode import ApiError, AsyncRhapsode, Rhapsode, audio_devices, connection
from rhapsode.frame_batcher import FrameBatcher
from tests.client_libraries.conftest import STORY
from tests.support.running_app import RunningApp


@pytest.mark.anyio
async def test_the_loudspeaker_gets_every_sample(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, script = tmp_path / "played.pcm", tmp_path / "aplay"
    script.write_text(f'#!/bin/sh\ncat > "{played}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(audio_devices, "find", lambda: "aplay")
    async with AsyncRhapsode(app.url) as client:
        session = await client.create()
        turn = await session.say("Good morning to all of you.")
        await turn.speak()
        assert await session.save_audio(tmp_path / "made.pcm", "pcm16") == len(played.read_bytes()) > 0


def test_the_blocking_client_does_the_same(app: RunningApp, tmp_path: Path) -> None:
    with Rhapsode(app.url) as client:
        session = client.create(title="Blocking")
        turn = session.ask("x")
        assert "".join(turn.deltas()) == turn.text() == STORY
        first = next(iter(session.events()))
        assert (first.seq, first.type) == (1, "session.started")
        assert "joe" in client.voices()["voices"]
        assert session.save_audio(tmp_path / "answer.wav") > 1_000
        with pytest.raises(ApiError, match="less than or equal"):
            session.change(speech_speed=99)
        assert client.ask("y", speak=False) == STORY


def frame(peak: int, ms: int = 20) -> bytes:
    return array("h", [peak if n % 7 == 3 else n % 5 for n in range(16 * ms)]).tobytes()


def test_silence_goes_out_in_longer_frames_after_two_seconds_and_speech_at_once_with_what_waited() -> None:
    batcher = FrameBatcher(16_000)

    def sizes(frames: int, peak: int) -> list[int]:
        return [len(batcher.push(frame(peak))) // 32 for _ in range(frames)]

    assert sizes(100, 200) == [20] * 100
    assert sizes(26, 250) == [*[0] * 12, 260] * 2
    assert sizes(2, 150) == [0, 0]
    assert sizes(3, 2_000) == [60, 20, 20]
    assert sizes(100, 200) == [20] * 100
    assert sizes(1, 200) == [0]
    assert (len(batcher.take()), batcher.take()) == (640, b"")


@given(st.lists(st.tuples(st.integers(0, 32_767), st.integers(0, 300)), max_size=200), st.integers(0, 1))
def test_every_byte_of_a_microphone_comes_out_once_and_in_order(
    frames: list[tuple[int, int]], odd: int
) -> None:
    batcher = FrameBatcher(16_000)
    sound = [frame(peak, ms) + bytes(odd) for peak, ms in frames]
    assert b"".join([*map(batcher.push, sound), batcher.take()]) == b"".join(sound)


@pytest.mark.anyio
async def test_a_reader_that_took_its_time_goes_on_when_its_connection_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So does one whose server stood still: patience begins when the connection is lost."""
    now_s = 0.0
    monkeypatch.setattr(connection, "monotonic", lambda: now_s)
    asked: list[str] = []

    async def stream(socket: ServerConnection) -> None:
        assert socket.request is not None
        asked.append(socket.request.path)
        if len(asked) == 1:
            await socket.send('{"seq": 1, "turn": null, "type": "session.started", "data": {}}')
            return
        await socket.send('{"type": "end", "reason": "caught_up", "seq": 1}')
        await socket.wait_closed()

    async with serve(stream, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncRhapsode(f"http://127.0.0.1:{port}") as client:
            async for event in client.session("s").events():
                assert event.seq == 1
                now_s += connection.PATIENCE_S + 1
    assert [path.partition("?")[2].partition("&")[0] for path in asked] == ["from=0", "from=1"]
