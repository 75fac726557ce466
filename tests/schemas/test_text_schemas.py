"""The JSON schema of a text says what its validator refuses."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.native.client_commands import Readable, Said
from schemas.openai.speech_request import SpeechRequest

CHARACTERS = st.characters(codec="utf-8") | st.sampled_from("\0\a\t\n\r\v\f\x1b\x1f \x7f\x85\x9f\xa0\u2028")


def takes(kind: Any, text: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", [Readable, Said])
@given(text=st.text(CHARACTERS, max_size=6))
def test_a_pattern_takes_what_the_server_takes(kind: Any, text: str) -> None:
    schema = TypeAdapter(kind).json_schema()
    described = len(text) >= schema.get("minLength", 0) and re.search(schema["pattern"], text) is not None
    assert described == takes(kind, text)


@given(text=st.text(CHARACTERS, max_size=6))
def test_a_speech_is_described_too(text: str) -> None:
    schema = SpeechRequest.model_json_schema()["properties"]["input"]
    described = len(text) >= schema["minLength"] and re.search(schema["pattern"], text) is not None
    assert described == takes(SpeechRequest, {"input": text, "model": "tts-1", "voice": "alloy"})  # type: ignore[arg-type]
