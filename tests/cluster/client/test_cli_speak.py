"""`say`, `narrate` and `replay` against a real gateway: the words, the sound, and connections that break."""

import io
import wave
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cluster.client import speak
from cluster.client.http_client import Client
from cluster.terminal.cli_errors import CliError
from rhapsode import audio_devices as player
from rhapsode.connection import Event
from tests.support.cutting_relay import cutting_relay
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio

STORY = "The keeper lit the lamp. The fox came in from the rain and lay down. They were friends at last."
app = app_fixture(llm={"reply": STORY, "delta_chars": 4, "per_delta_ms": 5})


@pytest.fixture
def no_player(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "find", lambda: None)


@pytest.mark.usefixtures("no_player")
async def test_narrate_shows_the_words_and_writes_the_sound(app: RunningApp, tmp_path: Path) -> None:
    out, terminal = tmp_path / "answer.wav", io.StringIO()
    await speak.ask(speak.SpeakParams(app.url, out), terminal, prompt="Tell me a story")
    assert terminal.getvalue() == f"› Tell me a story\n\n{STORY}\n"
    with wave.open(str(out)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (player.RATE, 1)
        assert sound.getnframes() > player.RATE // 10


@pytest.mark.usefixtures("no_player")
@pytest.mark.parametrize(("suffix", "magic"), [(".wav", b"RIFF"), (".ogg", b"OggS"), (".mp3", b"\xff")])
async def test_say_writes_the_format_that_the_name_asks_for(
    app: RunningApp, tmp_path: Path, suffix: str, magic: bytes
) -> None:
    out, terminal = tmp_path / f"said{suffix}", io.StringIO()
    await speak.ask(speak.SpeakParams(app.url, out, words=False), terminal, text="Good morning.")
    assert terminal.getvalue() == ""
    assert out.read_bytes().startswith(magic)


@pytest.mark.usefixtures("no_player")
@pytest.mark.parametrize("speed", [0, 100])
async def test_replay_shows_the_whole_session_again(app: RunningApp, speed: float) -> None:
    first, again = io.StringIO(), io.StringIO()
    session = await speak.ask(speak.SpeakParams(app.url), first, prompt="Once more")
    await speak.replay(speak.SpeakParams(app.url), session, speed, again)
    assert again.getvalue() == first.getvalue()


async def test_broken_connections_cost_no_word_and_double_none(app: RunningApp) -> None:
    async with Client(app.url) as direct:
        session = await direct.create({})
        turn = await direct.request(session, prompt="x")
        async with cutting_relay(app.url, after_bytes=1_500, cuts=4) as (url, broken), Client(url) as client:
            events = [event async for event in client.events(session, turn=turn, audio="pcm16")]
    assert len(broken) == 4
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert "".join(event.data["text"] for event in events if event.type == "text.delta") == STORY
    assert events[-1].type == "turn.completed"
    assert all(bool(event.audio) == (event.type == "audio.chunk") for event in events)


async def test_a_player_that_reads_from_a_pipe_hears_every_sample(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = tmp_path / "heard.pcm"
    script = tmp_path / "aplay"
    script.write_text(f'#!/bin/sh\ncat > "{heard}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(player, "find", lambda: "aplay")
    session = await speak.ask(speak.SpeakParams(app.url), io.StringIO(), text="Good morning to all of you.")
    async with Client(app.url) as client:
        await client.download(session, "pcm16", tmp_path / "made.pcm")
    assert len(heard.read_bytes()) == len((tmp_path / "made.pcm").read_bytes()) > 0


async def test_a_player_that_gives_up_does_not_stop_the_words(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "aplay"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(player, "find", lambda: "aplay")
    terminal = io.StringIO()
    await speak.ask(speak.SpeakParams(app.url), terminal, prompt="x")
    assert STORY in terminal.getvalue()


async def test_a_model_cannot_steer_the_terminal() -> None:
    event = Event(1, 1, "text.delta", {"text": "a\x1b[2Jb\x07\n"})

    async def events() -> AsyncGenerator[Event, None]:
        yield event

    terminal = io.StringIO()
    await speak._hear(events(), speak.SpeakParams(""), None, terminal)
    assert terminal.getvalue() == "a[2Jb\n"


async def test_a_refusal_is_said_in_the_servers_words(app: RunningApp) -> None:
    async with Client(app.url) as client:
        with pytest.raises(CliError, match="nobody"):
            await client.create({"voice": "nobody"})
        with pytest.raises(CliError, match="nonsense"):
            async for _ in client.events("nonsense"):
                pass


async def test_a_file_that_cannot_be_written_is_a_sentence(app: RunningApp, tmp_path: Path) -> None:
    async with Client(app.url) as client:
        session = await client.create({})
        with pytest.raises(CliError, match="cannot be written"):
            await client.download(session, "wav", tmp_path)
