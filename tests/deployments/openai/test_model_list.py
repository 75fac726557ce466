"""The list of models, the names that stand for them, and the voices."""

from typing import Any

import httpx
import pytest

from deployments.model_names import Names
from pipeline.sessions.catalog import Catalog
from schemas.errors import UnknownVoice
from schemas.errors.openai_errors import ModelNotFound
from schemas.settings import AppSettings, SessionSettings

pytestmark = pytest.mark.anyio


async def test_the_list_has_everybody_who_answers_speaks_or_writes_down(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == [
        *("scripted", "cloud/fox-1", "cloud/fox-2"),
        *("tts-1", "house/tts-1", "whisper-1", "gpt-4o-mini-transcribe"),
        "multilingual-e5-small-q4",
    ]
    assert all(one["object"] == "model" and isinstance(one["created"], int) for one in listed["data"])
    assert [one["owned_by"] for one in listed["data"]][:2] == ["rhapsode", "cloud"]
    kinds = ["chat"] * 3 + ["speech"] * 2 + ["transcription"] * 2 + ["embedding"]
    assert [one["kind"] for one in listed["data"]] == kinds


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("scripted", "scripted"),
        ("gpt-4o-mini", "scripted"),
        ("o3-mini", "scripted"),
        ("gpt-realtime", "scripted"),
        ("cloud/fox-2", "cloud/fox-2"),
        ("fox-2", "cloud/fox-2"),
        ("tts-1-hd", "tts-1"),
        ("gpt-4o-mini-tts-2025-12-15", "tts-1"),
        ("whisper-1", "whisper-1"),
        ("Systran/faster-whisper-base.en", "whisper-1"),
        ("gpt-4o-transcribe", "whisper-1"),
        ("gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe"),
    ],
)
async def test_a_model_is_found_by_every_name_it_answers_to(
    http: httpx.AsyncClient, name: str, meant: str
) -> None:
    assert (await http.get(f"/v1/models/{name}")).json()["id"] == meant


@pytest.mark.parametrize("name", ["claude", "cloud/fox-3", "nobody/fox-1", "a/b/c", "%20", "options"])
async def test_an_unknown_model_is_not_found(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert answer.json()["error"]["param"] == "model"


async def test_the_voices_are_listed_with_the_names_that_stand_for_them(http: httpx.AsyncClient) -> None:
    voices = (await http.get("/v1/audio/voices")).json()["voices"]
    assert {"id": "joe", "name": "joe", "provider": "local"} in voices
    assert {"alloy", "cedar"} <= {voice["id"] for voice in voices}


def names(**openai: Any) -> Names:
    settings = AppSettings.model_validate(
        {
            "language_model": {"providers": {"cloud": {"url": "http://localhost:1", "model": "gpt-4o"}}},
            "session": {"llm_provider": "cloud"},
            "openai": openai,
        }
    )
    speakers = {"local": ("joe",), "house": ("narrator", "alloy")}
    answerers = {"local": (), "cloud": ("gpt-4o", "gpt-5")}
    return Names(settings, Catalog(settings.session, speakers, (), answerers))


def test_a_providers_own_model_goes_before_what_its_name_stands_for() -> None:
    assert names().chat("gpt-5").id == "cloud/gpt-5"


def test_the_usual_model_is_the_one_that_sessions_begin_with() -> None:
    assert names().chat("gpt-3.5-turbo").id == "cloud/gpt-4o"


def test_patterns_can_be_chosen() -> None:
    mine = names(aliases={"best": "cloud/gpt-5", "*": "smollm2-135m-instruct"})
    assert [mine.chat(name).id for name in ("best", "gpt-9")] == ["cloud/gpt-5", "smollm2-135m-instruct"]


def test_a_model_that_does_something_else_is_not_found() -> None:
    for name in ("tts-1", "whisper-1", "gpt-4o-mini-tts"):
        with pytest.raises(ModelNotFound):
            names().chat(name)
    with pytest.raises(ModelNotFound):
        names().speech("gpt-4o")


def test_a_voice_is_itself_or_what_its_name_stands_for() -> None:
    mine = names(voices={"nova": "narrator", "shimmer": "default"})
    assert [mine.voice(name, None) for name in ("joe", "nova", "shimmer")] == ["joe", "joe", "joe"]
    assert [mine.voice(name, "house") for name in ("alloy", "nova", "shimmer")] == [
        *("alloy", "narrator", "narrator"),
    ]
    with pytest.raises(UnknownVoice):
        mine.voice("zork", None)


def test_the_model_that_answered_is_named_as_the_list_names_it() -> None:
    assert names().answered("cloud", "gpt-4o") == "cloud/gpt-4o"
    assert names().answered("local", "SmolLM2") == names().answered("", "") == "smollm2-135m-instruct"
    assert SessionSettings().voice == "joe"
