"""The Python client has a loudspeaker and a blocking form besides; test_conformance.py has the rest."""

from pathlib import Path

import pytest

from rhapsode import ApiError, AsyncRhapsode, Rhapsode, audio_devices
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
