"""Commands and messages: what is understood, and what is refused with its field."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.native.client_commands import Control, CreateSession, RequestTurn, SettingsPatch
from schemas.native.native_messages import CLIENT_MESSAGE, ClientControl, ClientPing, ClientTurnRequest
from schemas.settings import SessionSettings

# ---------------------------------------------------------------- commands


def problem(model: type[Any], given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(given)
    first = refused.value.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u2003"])
@pytest.mark.parametrize("field", ["prompt", "text"])
def test_a_turn_without_words_is_refused(field: str, blank: str) -> None:
    assert "is empty" in problem(RequestTurn, {field: blank})


@pytest.mark.parametrize("given", [{}, {"prompt": "a", "text": "b"}])
def test_a_turn_is_either_a_prompt_or_a_text(given: dict[str, str]) -> None:
    assert "not both" in problem(RequestTurn, given)


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\x7f", "\x85", "\ud83c"])
def test_characters_that_cannot_be_shown_are_refused_with_their_place(bad: str) -> None:
    assert "at position 3" in problem(RequestTurn, {"text": f"abc{bad}"})
    assert "at position 3" in problem(CreateSession, {"title": f"abc{bad}"})
    assert "at position 3" in problem(SettingsPatch, {"system_prompt": f"abc{bad}"})


def test_line_ends_are_the_same_whatever_system_wrote_them() -> None:
    assert RequestTurn.model_validate({"text": "a\r\nb\rc\n\td"}).content == "a\nb\nc\n\td"


def test_a_sentence_is_only_named_where_one_is_skipped() -> None:
    assert Control.model_validate({"action": "skip", "sentence": 0}).sentence == 0
    assert "goes with the action" in problem(Control, {"action": "stop", "sentence": 0})


@pytest.mark.parametrize(
    "patch",
    [
        {"voise": "joe"},
        {"voice": None},
        {"voice": ""},
        {"speech_speed": "1"},
        {"speech_speed": float("nan")},
        {"speech_speed": 4.1},
        {"speak": 1},
        {"max_tokens": 12.0},
        {"sentences": {"min_length": "20"}},
        {"sentences": {"min_lenght": 20}},
        {"sentences": None},
        {"tts_provider": ""},
        {"tts_timeout_s": 0},
        {"tts_timeout_s": 301.0},
        {"llm_provider": ""},
        {"llm_model": ""},
        {"llm_model": "x" * 129},
        {"llm_model": 4},
        {"tts_extra": {"": 1}},
        {"tts_extra": {"a": None}},
        {"tts_extra": {"a": [1]}},
        {"tts_extra": {"a": float("nan")}},
        {"tts_extra": {"a": "x" * 501}},
        {"tts_extra": {"a": "b\x00"}},
        {"tts_extra": {str(number): number for number in range(33)}},
    ],
)
def test_a_setting_that_is_misspelt_mistyped_or_out_of_range_is_refused(patch: dict[str, Any]) -> None:
    assert problem(RequestTurn, {"text": "x", "settings": patch}).startswith("settings.")


def settings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "voice": st.sampled_from(["joe", "amy"]),
            "speech_speed": st.floats(0.5, 2.0),
            "speak": st.booleans(),
            "max_tokens": st.integers(1, 4096),
            "tts_provider": st.none() | st.sampled_from(["cloud", "local"]),
            "tts_timeout_s": st.none() | st.floats(1, 300),
            "llm_provider": st.none() | st.sampled_from(["cloud", "local"]),
            "llm_model": st.none() | st.sampled_from(["fox-1", "fox-2"]),
            "sentences": st.fixed_dictionaries(
                {},
                optional={
                    "min_length": st.integers(1, 500),
                    "first_length": st.none() | st.integers(4, 500),
                    "threshold": st.none() | st.integers(10, 1000),
                },
            ),
        },
    )


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


@given(settings(), settings())
def test_a_patch_changes_what_it_names_and_nothing_else(first: dict[str, Any], then: dict[str, Any]) -> None:
    base = SettingsPatch.model_validate(first).apply(SessionSettings())
    patched = SettingsPatch.model_validate(then).apply(base)
    expected = dict(leaves(base.model_dump())) | dict(leaves(then))
    assert dict(leaves(patched.model_dump())) == expected
    assert type(patched) is SessionSettings
    assert type(patched.sentences) is type(SessionSettings().sentences)


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            '{"type": "turn.request", "prompt": "hi", "settings": {"voice": "joe"}, "ref": "a"}',
            ClientTurnRequest,
        ),
        ('{"type": "control", "action": "stop", "turn": 2, "ref": "b"}', ClientControl),
        ('{"type": "ping"}', ClientPing),
    ],
)
def test_a_message_is_told_by_its_type(text: str, kind: type[Any]) -> None:
    assert isinstance(CLIENT_MESSAGE.validate_json(text), kind)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "turn.requested", "prompt": "hi"}',
        '{"prompt": "hi"}',
        "[]",
        '{"type": "ping", "pong": 1}',
        "7",
    ],
)
def test_a_malformed_message_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        CLIENT_MESSAGE.validate_json(text)
