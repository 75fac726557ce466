"""The scripted engines keep to their script."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.engines.ports import ChatRequest, Completion, Function, Message, ToolCall
from pipeline.engines.registry import UnknownEngine, build_language_model, build_text_to_speech
from pipeline.engines.scripted import ScriptedLanguageModel, ScriptedTextToSpeech
from schemas.errors import EngineBusy, EngineDead, EngineFailed
from schemas.settings import LanguageModelSettings, TextToSpeechSettings

pytestmark = pytest.mark.anyio
Script = Callable[..., Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def write(**content: Any) -> Path:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(content))
        return path

    return write


async def until_failure(stream: AsyncGenerator[Any, None], error: type[Exception]) -> tuple[list[Any], str]:
    """Items before the failure, and the failure's message."""
    items = []
    try:
        async with aclosing(stream):
            async for item in stream:
                items.append(item)
    except error as failure:
        return items, str(failure)
    pytest.fail("It did not fail.")


async def said(model: ScriptedLanguageModel, question: str = "Hi") -> list[str]:
    async with aclosing(model.stream(ChatRequest((Message("user", question),)))) as stream:
        return [item async for item in stream if not isinstance(item, Completion)]


async def test_a_reply_comes_in_deltas_of_the_scripted_size(script: Script) -> None:
    model = ScriptedLanguageModel(LanguageModelSettings(script=script(reply="One fox. Two.", delta_chars=5)))
    assert await said(model) == ["One f", "ox. T", "wo."]


@pytest.mark.parametrize(
    ("wish", "called"),
    [
        ({}, ["rain", "sun"]),
        ({"choice": "required", "parallel": False}, ["rain"]),
        ({"choice": "function:sun"}, ["sun"]),
        ({"choice": "function:sun", "parallel": False}, ["sun"]),
    ],
)
async def test_only_the_function_that_is_forced_is_called(
    script: Script, wish: dict[str, Any], called: list[str]
) -> None:
    path = script(call_for={"weather": [{"name": "snow"}, {"name": "rain"}, {"name": "sun"}]})
    model = ScriptedLanguageModel(LanguageModelSettings(script=path))
    functions = (Function("rain", "", {}), Function("sun", "", {}))
    asked = ChatRequest((Message("user", "The weather?"),), functions=functions, **wish)
    async with aclosing(model.stream(asked)) as stream:
        assert [item.name async for item in stream if isinstance(item, ToolCall)] == called


async def test_a_reply_may_tell_what_the_last_function_said(script: Script) -> None:
    model = ScriptedLanguageModel(
        LanguageModelSettings(script=script(reply_to={"weather": "It is {result}."}))
    )
    told = (Message("user", "The weather?"), Message("tool", "17 °C", call="call_1"))
    async with aclosing(model.stream(ChatRequest(told))) as stream:
        assert "".join([item async for item in stream if isinstance(item, str)]) == "It is 17 °C."
    assert "".join(await said(model, "How is the weather?")) == "It is ."


async def test_a_question_may_have_a_reply_of_its_own(script: Script) -> None:
    path = script(reply="Oh.", reply_to={"weather": "Rain.", "we": "Us."})
    model = ScriptedLanguageModel(LanguageModelSettings(script=path))
    assert "".join(await said(model, "How is the weather?")) == "Rain."
    assert "".join(await said(model, "Who are we?")) == "Us."
    assert "".join(await said(model, "Hi")) == "Oh."
    echoing = ScriptedLanguageModel(LanguageModelSettings(script=script(reply="Oh.", echo=True)))
    assert "".join(await said(echoing, "Who is Zobababababa?")) == "Who is Zobababababa? Oh."


@pytest.mark.parametrize(
    ("code", "error"),
    [("engine.busy", EngineBusy), ("engine.failed", EngineFailed), ("engine.dead", EngineDead)],
)
async def test_an_answer_may_fail_where_the_script_says(
    script: Script, code: str, error: type[Exception]
) -> None:
    model = ScriptedLanguageModel(LanguageModelSettings(script=script(fail_after=2, fail_code=code)))
    deltas, message = await until_failure(model.stream(ChatRequest((Message("user", "Hi"),))), error)
    assert len(deltas) == 2
    assert "script" in message
    assert model.open_streams == 0


async def test_a_voice_may_fail_on_a_word_or_now_and_then(script: Script) -> None:
    voice = ScriptedTextToSpeech(TextToSpeechSettings(script=script(fail_on="ouch", fail_after_chunks=1)))
    stream = voice.synthesize("This is an ouch in a sentence.", voice="joe")
    heard, message = await until_failure(stream, EngineFailed)
    assert len(heard) == 2
    assert "ouch" in message
    voice = ScriptedTextToSpeech(TextToSpeechSettings(script=script(fail_every=3)))
    outcomes = []
    for _ in range(6):
        try:
            async with aclosing(voice.synthesize("Fox.", voice="joe")) as stream:
                outcomes.append(len([item async for item in stream]) > 0)
        except EngineFailed:
            outcomes.append(False)
    assert outcomes == [True, True, False, True, True, False]


async def test_other_words_and_other_voices_sound_different() -> None:
    voice = ScriptedTextToSpeech(TextToSpeechSettings())

    async def sound(text: str, name: str) -> bytes:
        async with aclosing(voice.synthesize(text, voice=name)) as stream:
            return b"".join([item async for item in stream if isinstance(item, bytes)])

    assert await sound("A fox.", "joe") == await sound("A fox.", "joe")
    assert (
        len({await sound("A fox.", "joe"), await sound("A fog.", "joe"), await sound("A fox.", "alto")}) == 3
    )


async def test_a_mistyped_script_is_refused(script: Script) -> None:
    with pytest.raises(ValidationError, match="repli"):
        ScriptedLanguageModel(LanguageModelSettings(script=script(repli="Hi")))


async def test_engines_are_built_by_name_and_unknown_names_are_told_the_known_ones(tmp_path: Path) -> None:
    built = build_language_model(LanguageModelSettings(engine="scripted"), tmp_path)
    assert isinstance(built, ScriptedLanguageModel)
    voice = build_text_to_speech(TextToSpeechSettings(engine="scripted"), tmp_path)
    assert isinstance(voice, ScriptedTextToSpeech)
    with pytest.raises(UnknownEngine, match=r"'gpt'.*llama, scripted"):
        build_language_model(LanguageModelSettings(engine="gpt"), tmp_path)
    with pytest.raises(UnknownEngine, match=r"'flute'.*piper, pocket, scripted"):
        build_text_to_speech(TextToSpeechSettings(engine="flute"), tmp_path)
