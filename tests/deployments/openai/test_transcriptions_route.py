"""Recordings written down, in every shape."""

from typing import Any

import httpx
import pytest

from tests.support.clients.native_speaker import silence
from tests.support.clients.openai_requests import (
    SAID,
    TRANSCRIPTIONS,
    events_of,
    kinds,
    log_events_of,
    spoken,
)
from tests.support.speech.sound_files import encoded, wav

pytestmark = pytest.mark.anyio


async def heard(
    http: httpx.AsyncClient, sound: bytes | None = None, name: str = "card.wav", **fields: Any
) -> httpx.Response:
    form = {"model": "whisper-1"} | fields
    answer = await http.post(TRANSCRIPTIONS, data=form, files={"file": (name, sound or spoken())})
    assert answer.status_code == 200, answer.text
    return answer


async def test_json_is_the_text_and_its_usage(http: httpx.AsyncClient) -> None:
    answer = await heard(http)
    assert answer.json()["text"] == SAID
    assert answer.json()["usage"]["type"] == "duration"


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-mini-transcribe"])
async def test_each_model_is_a_way_of_listening_and_the_events_say_so(
    http: httpx.AsyncClient, model: str
) -> None:
    answer = await heard(http, model=model, language="en", prompt="Foxes.", **{"keywords[]": ["Ada", "Bob"]})
    log_events = await log_events_of(http, answer.headers["X-Rhapsode-Session"], to_its_end=True)
    [opened] = [log_event["data"] for log_event in log_events if log_event["type"] == "input.opened"]
    assert opened["name"] == "card.wav"
    assert opened["settings"]["mode"] == ("quality" if model == "whisper-1" else "realtime")
    assert (opened["settings"]["language"], opened["settings"]["prompt"]) == ("en", "Foxes. Ada, Bob")
    assert "input.audio" in kinds(log_events)
    assert not any(kind.startswith("turn.") for kind in kinds(log_events))


async def test_text_is_nothing_but_the_text(http: httpx.AsyncClient) -> None:
    assert (await heard(http, response_format="text")).text == f"{SAID}\n"


@pytest.mark.parametrize(
    ("granularities", "segments", "words"),
    [
        ([], True, False),
        (["segment"], True, False),
        (["word"], False, True),
        (["word", "segment"], True, True),
    ],
)
async def test_verbose_json_has_the_times_that_were_asked_for(
    http: httpx.AsyncClient, granularities: list[str], segments: bool, words: bool
) -> None:
    fields: dict[str, Any] = {"response_format": "verbose_json"}
    if granularities:
        fields["timestamp_granularities[]"] = granularities
    told = (await heard(http, **fields)).json()
    assert ("segments" in told, "words" in told) == (segments, words)
    assert (told["task"], told["language"], told["text"]) == ("transcribe", "english", SAID)
    for one in told.get("words", []) + told.get("segments", []):
        assert 0 <= one["start"] <= one["end"] <= told["duration"]


@pytest.mark.parametrize(("fmt", "begin"), [("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")])
async def test_captions_have_a_cue_for_each_utterance(http: httpx.AsyncClient, fmt: str, begin: str) -> None:
    told = (await heard(http, response_format=fmt)).text
    assert told.startswith(begin)
    assert told.count("-->") == 1
    assert SAID in told


async def test_a_stream_tells_each_utterance_and_then_all(http: httpx.AsyncClient) -> None:
    two = spoken()[44:] * 2
    answer = await heard(http, wav(two), stream="true")
    events = [event.json for event in events_of(answer.text)]
    deltas = [event["delta"] for event in events[:-1]]
    assert deltas == [SAID, f" {SAID}"]
    assert (events[-1]["type"], events[-1]["text"]) == ("transcript.text.done", "".join(deltas))
    assert events[-1]["usage"]["seconds"] > 3


async def test_any_container_that_holds_its_sound_is_heard(http: httpx.AsyncClient) -> None:
    pcm = spoken()[44:]
    for container, codec in (("mp3", "libmp3lame"), ("flac", "flac"), ("webm", "libopus")):
        assert (await heard(http, encoded(pcm, container, codec), f"a.{container}")).json()["text"] == SAID


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_silence_has_no_words(http: httpx.AsyncClient, stream: str) -> None:
    answer = await heard(http, wav(silence(1_500)), stream=stream)
    if stream == "true":
        [event] = events_of(answer.text)
        assert (event.json["type"], event.json["text"]) == ("transcript.text.done", "")
    else:
        assert answer.json()["text"] == ""


async def test_where_to_cut_can_be_chosen(http: httpx.AsyncClient) -> None:
    strategy = (
        '{"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 200, "silence_duration_ms": 800}'
    )
    answer = await heard(http, chunking_strategy=strategy)
    log_events = await log_events_of(http, answer.headers["X-Rhapsode-Session"])
    [opened] = [
        log_event["data"]["settings"] for log_event in log_events if log_event["type"] == "input.opened"
    ]
    cut = opened["endpointing"]
    assert (cut["threshold"], cut["prefix_padding_ms"], cut["silence_ms"]) == (0.6, 200, 800)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": "tts-1"}, "model_not_found", "model"),
        ({"model": ""}, "missing_required_parameter", "model"),
        ({"language": "english"}, "invalid_value", "language"),
        ({"response_format": "xml"}, "invalid_value", "response_format"),
        ({"timestamp_granularities[]": "word"}, "invalid_value", "timestamp_granularities"),
        (
            {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
            "invalid_value",
            "timestamp_granularities[0]",
        ),
        ({"stream": "true", "response_format": "srt"}, "invalid_value", "response_format"),
        ({"chunking_strategy": "never"}, "invalid_value", "chunking_strategy"),
        ({"chunking_strategy": '{"type": "server_vad", "threshold": 7}'}, "invalid_value", None),
        ({"temperature": "9"}, "invalid_value", "temperature"),
        ({"temperature": "warm"}, "invalid_value", "temperature"),
        ({"prompt": "a" * 2_001}, "invalid_value", "prompt"),
    ],
)
async def test_a_bad_form_is_refused_by_code_and_param(
    http: httpx.AsyncClient, fields: dict[str, str], code: str, param: str | None
) -> None:
    form = {"model": "whisper-1"} | fields
    answer = await http.post(TRANSCRIPTIONS, data=form, files={"file": ("card.wav", spoken())})
    error = answer.json()["error"]
    assert answer.status_code == (404 if code == "model_not_found" else 400), error
    assert error["code"] == code
    assert param is None or error["param"] == param


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_a_file_without_sound_is_refused_before_there_is_an_answer(
    http: httpx.AsyncClient, stream: str
) -> None:
    form = {"model": "whisper-1", "stream": stream}
    answer = await http.post(TRANSCRIPTIONS, data=form, files={"file": ("card.wav", b"no sound")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_audio")
    assert answer.json()["error"]["param"] == "file"
    assert "X-Rhapsode-Session" not in answer.headers


async def test_a_form_in_a_charset_that_takes_long_to_read_is_refused(http: httpx.AsyncClient) -> None:
    kind = "multipart/form-data; boundary=b; charset=punycode"
    answer = await http.post(TRANSCRIPTIONS, content=b"--b--\r\n", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "content-type")


async def test_a_form_without_a_file_is_refused(http: httpx.AsyncClient) -> None:
    files = {"model": (None, "whisper-1")}
    answer = await http.post(TRANSCRIPTIONS, files=files)
    assert answer.json()["error"]["code"] == "missing_required_parameter"
    assert answer.json()["error"]["param"] == "file"


@pytest.mark.parametrize(
    "fields", [[("prompt", "a" * 70_000)], [(f"field_{number}", "a") for number in range(41)]]
)
async def test_a_form_holds_no_more_than_a_form_needs(
    http: httpx.AsyncClient, fields: list[tuple[str, str]]
) -> None:
    form = [("model", "whisper-1"), *fields]
    files: list[tuple[str, Any]] = [(name, (None, value)) for name, value in form]
    answer = await http.post(TRANSCRIPTIONS, files=[*files, ("file", ("card.wav", b"no sound"))])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_value")
    assert error["message"].startswith("the form cannot be read")
