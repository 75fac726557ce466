"""The stock `openai` package asks for responses, with nothing changed but its base URL."""

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response

from tests.support.clients.openai_requests import STORY


def valid(response: Response) -> Response:
    """The same response, checked strictly against the package's own model."""
    return Response.model_validate(response.to_dict(), strict=False)


def test_a_response_has_the_answer(client: OpenAI) -> None:
    made = valid(client.responses.create(model="gpt-4o", input="A story, please."))
    assert made.output_text == STORY
    assert (made.status, made.model, made.error) == ("completed", "scripted", None)
    assert made.usage is not None
    assert made.usage.output_tokens > 1


def test_a_response_says_again_what_was_asked(client: OpenAI) -> None:
    made = valid(
        client.responses.create(
            model="gpt-4o",
            input=[{"role": "user", "content": [{"type": "input_text", "text": "at once"}]}],
            instructions="Be brief.",
            metadata={"a": "b"},
            temperature=0.2,
            top_p=0.5,
            max_output_tokens=400,
            user="me",
        )
    )
    assert made.output_text == "Yes."
    assert (made.instructions, made.metadata, made.user) == ("Be brief.", {"a": "b"}, "me")
    assert (made.temperature, made.top_p, made.max_output_tokens) == (0.2, 0.5, 400)


def test_an_answer_that_is_cut_off_is_incomplete(client: OpenAI) -> None:
    made = valid(client.responses.create(model="gpt-4o", input="A story, please.", max_output_tokens=4))
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert STORY.startswith(made.output_text)


def test_an_unsupported_wish_is_refused_as_openai_does(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as refused:
        client.responses.create(model="claude", input="A story, please.")
    assert refused.value.code == "model_not_found"
    with pytest.raises(BadRequestError) as bad:
        client.responses.create(model="gpt-4o", input="A story, please.", conversation="conv_1")
    assert (bad.value.code, bad.value.param) == ("unsupported_parameter", "conversation")
    image = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}
    with pytest.raises(BadRequestError) as bad:
        client.responses.create(model="gpt-4o", input=[{"role": "user", "content": [image]}])  # type: ignore[list-item]
    assert (bad.value.code, bad.value.param) == ("unsupported_value", "input[0].content[0].type")
    with pytest.raises(BadRequestError) as bad:
        client.responses.create(model="gpt-4o", input="a" * 30_000)
    assert (bad.value.code, bad.value.param) == ("string_above_max_length", "input")
