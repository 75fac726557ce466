"""The stock `openai` package for Python, with nothing changed but its base URL."""

import base64
import io
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from deployments.web.sse_format import QUIET
from tests.support.clients.openai_requests import SAID, STORY, TOOLS, seconds_of, spoken
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "A story, please."}]
OFFERED: Any = TOOLS


@pytest.fixture
def client(app: RunningApp) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
async def aclient(app: RunningApp) -> AsyncGenerator[AsyncOpenAI, None]:
    async with AsyncOpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client


def test_it_lists_models_and_finds_one(client: OpenAI) -> None:
    assert "cloud/fox-1" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").id == "scripted"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("claude")
    assert refused.value.code == "model_not_found"


def test_it_asks(client: OpenAI) -> None:
    made = client.chat.completions.create(model="gpt-4o", messages=ASKED, temperature=0.2, user="me")
    assert made.choices[0].message.content == STORY
    assert made.usage is not None
    assert made.usage.completion_tokens > 1


async def test_it_asks_without_blocking(aclient: AsyncOpenAI) -> None:
    made = await aclient.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert made.choices[0].message.content == STORY


def test_it_streams(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == STORY
    assert chunks[-1].usage is not None


def test_it_takes_a_pause_for_nothing_else() -> None:
    event = b"data: {}\nid: a-%d\n\n"
    told = list(SSEDecoder().iter_bytes(iter([event % 1, QUIET, QUIET, event % 2])))
    assert [one.data for one in told] == ["{}", "{}"]


async def test_it_streams_without_blocking_and_may_stop_early(aclient: AsyncOpenAI) -> None:
    stream = await aclient.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "slowly"}], stream=True
    )
    async with stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break


def test_its_stream_helper_puts_the_answer_together(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=ASKED) as stream:
        kinds = {event.type for event in stream}
        made = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert made.choices[0].message.content == STORY


def test_its_stream_helper_puts_calls_together(client: OpenAI) -> None:
    weather: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How is the weather?"}]
    with client.chat.completions.stream(model="gpt-4o", messages=weather, tools=OFFERED) as stream:
        for _ in stream:
            pass
        made = stream.get_final_completion()
    [call] = made.choices[0].message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Oslo"}')


def test_it_calls_and_answers(client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    tools: list[ChatCompletionToolParam] = OFFERED
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    [call] = first.choices[0].message.tool_calls or ()
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
    assert second.choices[0].message.content == STORY


def test_it_hears_the_answer(client: OpenAI) -> None:
    made = client.chat.completions.create(
        model="gpt-4o-audio-preview",
        messages=ASKED,
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
    )
    audio = made.choices[0].message.audio
    assert audio is not None
    assert audio.transcript == STORY
    assert seconds_of(base64.b64decode(audio.data)) > 1


def test_it_asks_aloud(client: OpenAI) -> None:
    data = base64.b64encode(spoken()).decode()
    part: Any = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    made = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": [part]}])
    assert made.choices[0].message.content == STORY


def test_it_speaks(client: OpenAI) -> None:
    made = client.audio.speech.create(model="tts-1", voice="nova", input=STORY)
    assert seconds_of(made.content) > 1


def test_it_streams_speech(client: OpenAI) -> None:
    speech = client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", voice="nova", input=STORY, response_format="pcm", speed=2) as answer:
        pieces = list(answer.iter_bytes())
    assert len(pieces) > 1
    assert sum(map(len, pieces)) / 48_000 > 0.5


async def test_it_streams_speech_without_blocking(aclient: AsyncOpenAI) -> None:
    speech = aclient.audio.speech.with_streaming_response
    async with speech.create(model="gpt-4o-mini-tts", voice="nova", input="Yes.") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join([piece async for piece in answer.iter_bytes()])


def test_it_writes_down(client: OpenAI) -> None:
    made = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", spoken()), language="en")
    assert made.text == SAID


def test_it_writes_down_with_words_and_segments(client: OpenAI) -> None:
    made = client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", io.BytesIO(spoken())),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert made.text == SAID
    assert [word.word for word in made.words or ()] == SAID.split()
    assert [segment.text for segment in made.segments or ()] == [SAID]
    assert made.duration > 1


def test_it_chooses_where_to_cut(client: OpenAI) -> None:
    made = client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", spoken()),
        chunking_strategy={"type": "server_vad", "silence_duration_ms": 700},
    )
    assert made.text == SAID


def test_it_makes_captions(client: OpenAI) -> None:
    told = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", spoken()), response_format="srt"
    )
    assert told.startswith("1\n00:00:00,")
    assert SAID in told


def test_it_streams_what_was_said(client: OpenAI) -> None:
    stream = client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=("a.wav", spoken()), stream=True
    )
    events = list(stream)
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == SAID
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == SAID


async def test_it_streams_what_was_said_without_blocking(aclient: AsyncOpenAI) -> None:
    stream = await aclient.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", spoken()), stream=True
    )
    assert [event.type async for event in stream][-1] == "transcript.text.done"


def test_it_raises_its_own_errors(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=ASKED, n=2)
    assert (refused.value.code, refused.value.param) == ("unsupported_value", "n")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="claude", messages=ASKED)
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"no sound"))
    with pytest.raises(openai.BadRequestError):
        client.audio.translations.create(model="whisper-1", file=("a.wav", spoken()))
