"""`hear` and `compare` against a real gateway, and which recordings a command line means."""

import io
import wave
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from cluster.client import transcribe
from cluster.client.comparison_table import markdown
from cluster.client.http_client import Client
from cluster.client.transcribe import RecordingFile, recordings
from cluster.terminal.cli_errors import CliError
from cluster.terminal.console import Steps
from schemas.native.comparison_answers import ComparisonReport
from tests.support.clients.native_speaker import austen
from tests.support.running_app import RunningApp, app_fixture, running_app, scripted_settings

pytestmark = pytest.mark.anyio
SAID = "Please tell me a story."
app = app_fixture(llm={"reply": "Once upon a time."}, stt={"texts": [SAID]})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "austen.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setframerate(16_000)
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.writeframes(austen("0880"))
    return path


def quiet() -> Steps:
    return Steps(Console(file=io.StringIO()))


async def heard(app: RunningApp, *files: RecordingFile, **listening: Any) -> tuple[str, str]:
    """The session, and what was printed."""
    terminal = io.StringIO()
    session = await transcribe.hear(transcribe.TranscribeParams(app.url, listening), files, terminal, quiet())
    return session, terminal.getvalue()


async def test_a_transcript_is_printed_with_its_times_and_its_answer(app: RunningApp, file: Path) -> None:
    _, printed = await heard(app, RecordingFile(file))
    first, *rest = printed.splitlines()
    assert first.startswith("0:00.3 – 0:0")
    assert first.endswith(f"  {SAID}")
    assert "› Once upon a time." in rest


async def test_without_a_reply_there_is_only_what_was_said(app: RunningApp, file: Path) -> None:
    _, printed = await heard(app, RecordingFile(file), reply=False)
    assert [line for line in printed.splitlines() if line] == [printed.splitlines()[0]]


async def test_words_that_are_not_as_in_the_reference_are_counted(app: RunningApp, file: Path) -> None:
    _, printed = await heard(app, RecordingFile(file, "please sell me a story"), reply=False)
    assert "1 of 5 words are not as in the reference (20.0%)." in printed


async def test_numbers_are_words_of_the_language_that_was_understood(tmp_path: Path, file: Path) -> None:
    settings = scripted_settings(tmp_path, stt={"texts": ["Ich habe 21 Äpfel."]})
    with running_app(settings) as app:
        recording = RecordingFile(file, "ich habe einundzwanzig Äpfel")
        _, printed = await heard(app, recording, reply=False, language="de")
        _, in_english = await heard(app, recording, reply=False, language="en")
    assert "0 of 4 words are not as in the reference" in printed
    assert "0 of 4 words" not in in_english


async def test_a_session_that_ends_meanwhile_is_told(
    app: RunningApp, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deleted while its answer is waited for, which will never come."""
    settle = transcribe._Listening._settle

    async def deleted_first(listening: Any, turn: int | None) -> None:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            await http.delete(f"/v1/sessions/{listening._session}")
        await settle(listening, 0)

    monkeypatch.setattr(transcribe._Listening, "_settle", deleted_first)
    with pytest.raises(CliError, match="ended by somebody else"):
        await heard(app, RecordingFile(file))


async def test_both_ways_at_once_say_where_they_differ(app: RunningApp, file: Path) -> None:
    _, printed = await heard(app, RecordingFile(file), reply=False, compare=True)
    assert "realtime and quality agree" in printed


async def test_a_file_that_is_no_recording_says_what_would_be_one(app: RunningApp, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound at all")
    with pytest.raises(CliError, match="no recording") as caught:
        await heard(app, RecordingFile(text))
    assert "FFmpeg" in caught.value.advice


async def test_the_report_has_every_input_with_both_texts_and_totals(app: RunningApp, file: Path) -> None:
    session, _ = await heard(app, RecordingFile(file, SAID), RecordingFile(file), reply=False)
    reports = await transcribe.compare(app.url, [session, session], quiet())
    text = markdown(reports)
    assert len(reports) == 2
    assert text.count("### austen.wav: ") == 4
    assert f"| {SAID} | {SAID} |" in text
    assert "| realtime | scripted | 20 | 0 of 10: 0.0% | 0 |" in text
    assert "no reference" in text


async def test_a_session_that_heard_nothing_cannot_be_compared(app: RunningApp) -> None:
    async with Client(app.url) as client:
        session = await client.create({})
    with pytest.raises(CliError, match="heard nothing") as caught:
        await transcribe.compare(app.url, [session], quiet())
    assert "rhapsode hear" in caught.value.advice


def test_text_in_a_report_is_never_taken_for_markdown() -> None:
    line = {"mode": "realtime", "engine": "e", "text": "a | *b* <c>", "after_ms": 1, "decode_ms": 1}
    utterance = {
        "utterance": 0,
        "start_ms": 0,
        "end_ms": 900,
        "reason": "silence",
        "ways": (line, line | {"mode": "quality"}),
        "words": 3,
    }
    ways = ({"mode": "realtime"}, {"mode": "quality"})
    heard = {"input": "i", "source": "microphone", "from_ms": 0, "ms": 1_000, "spoken_ms": 900}
    report = ComparisonReport.model_validate(
        {"session_id": "s", "listening": {}, "inputs": [heard | {"utterances": [utterance], "ways": ways}]}
    )
    assert r"| a \| \*b\* \<c\> |" in markdown([report])


def test_an_utterance_that_was_not_written_down_says_why() -> None:
    line = {"mode": "realtime", "engine": "e", "text": "a", "after_ms": 7, "decode_ms": 1}
    utterance = {
        "utterance": 0,
        "start_ms": 0,
        "end_ms": 900,
        "reason": "silence",
        "ways": (line, line | {"mode": "quality", "text": "", "after_ms": 0}),
        "errors": ("", "it is busy"),
        "words": 1,
    }
    ways = ({"mode": "realtime", "after_ms": [7]}, {"mode": "quality", "failed": 1})
    heard = {"input": "i", "source": "microphone", "from_ms": 0, "ms": 1_000, "spoken_ms": 900}
    report = ComparisonReport.model_validate(
        {"session_id": "s", "listening": {}, "inputs": [heard | {"utterances": [utterance], "ways": ways}]}
    )
    assert "| 0.0–0.9 | a | *failed: it is busy* |  | 7 / - | 0 |" in markdown([report])
    assert "| quality | - | 0 | no reference | 1 | - |" in markdown([report])


def test_a_folder_gives_its_recordings_and_their_references(tmp_path: Path) -> None:
    for name in ("a.wav", "b.WAV", "c.mp3", "notes.pdf"):
        (tmp_path / name).touch()
    (tmp_path / "a.txt").write_text(" What is said\nin a. ")
    (tmp_path / "transcription").write_text("<s> and this in b </s> (b)\nfour of clubs  (c)\nnonsense\n")
    found = recordings([tmp_path])
    assert [(each.path.name, each.reference) for each in found] == [
        ("a.wav", "What is said in a."),
        ("b.WAV", "and this in b"),
        ("c.mp3", "four of clubs"),
    ]


def test_one_reference_is_not_that_of_two_recordings(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    with pytest.raises(CliError, match="2 recordings"):
        recordings([tmp_path], "something")
    assert recordings([tmp_path / "a.wav"], "something")[0].reference == "something"


def test_missing_recordings_are_named(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="There is no"):
        recordings([tmp_path / "missing.wav"])
    with pytest.raises(CliError, match="no recordings in"):
        recordings([tmp_path])
