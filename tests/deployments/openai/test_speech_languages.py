"""A text that no voice here speaks: an error that names the language, no noise and no file with holes."""

import httpx
import pytest

from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
SPEECH = "/v1/audio/speech"
STORY = "An old keeper lived in a lighthouse at the edge of the sea. Every evening he climbed the stairs. "
english = app_fixture(tts={"languages": ["en"]})


async def test_a_text_in_a_language_that_no_voice_speaks_is_refused(english: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=english.url, timeout=30) as http:
        for text, language in (
            ("今天天气很好，我们去散步吧。", "Chinese (zh)"),
            ("Das Wetter ist heute sehr schön, also gehen wir.", "German (de)"),
        ):
            answer = await http.post(SPEECH, json={"model": "tts-1", "voice": "alloy", "input": text})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "input")
            assert error["type"] == "invalid_request_error"
            assert language in error["message"]


async def test_a_sentence_in_the_middle_that_no_voice_speaks_breaks_the_file_off(english: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=english.url, timeout=30) as http:
        body = {
            "model": "tts-1",
            "voice": "alloy",
            "input": f"{STORY * 3}今天天气很好，我们先去公园散步，然后回家吃饭喝茶。{STORY}",
        }
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(SPEECH, json=body)
