"""Completions that rest on documents: the stock client says where to look, and reads what was found."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.support.running_app import RunningApp, app_fixture

BOOK = "# The lighthouse\n\nIt was built in 1906 and lit for the first time on 26 May 1908.\n"
ANSWER = "It was lit in 1908 [1]."
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "When was the lighthouse lit?"}]
app = app_fixture(llm={"reply": ANSWER}, retrieval={"embedding": "wordllama", "judge": None})


@pytest.fixture(scope="module")
def shelf(app: RunningApp) -> str:
    with httpx.Client(base_url=app.url, timeout=60) as http:
        collection = str(http.post("/v1/collections", json={"name": "Lighthouses"}).json()["id"])
        files = {"file": ("lighthouse.md", BOOK.encode())}
        assert http.post(f"/v1/collections/{collection}/documents", files=files).status_code == 201
    return collection


@pytest.fixture(scope="module")
def client(app: RunningApp) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


def wishes(shelf: str) -> dict[str, Any]:
    return {"rhapsode": {"collections": [shelf], "search": {"strategy": "keyword", "top_k": 2}}}


def test_an_answer_has_citations_that_open_their_passage(app: RunningApp, client: OpenAI, shelf: str) -> None:
    made = client.chat.completions.create(model="gpt-4o", messages=ASKED, extra_body=wishes(shelf))
    message = made.choices[0].message
    assert message.content == ANSWER
    [annotation] = message.annotations or ()
    cited = annotation.url_citation
    assert "1908" in ANSWER[cited.start_index : cited.end_index]
    text = httpx.get(app.url + cited.url, timeout=30).json()
    assert "1908" in str(text)


def test_a_stream_tells_them_before_its_end(client: OpenAI, shelf: str) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o", messages=ASKED, stream=True, extra_body=wishes(shelf)
    )
    deltas = [chunk.choices[0].delta.to_dict() for chunk in stream]
    [told] = [delta["annotations"] for delta in deltas if "annotations" in delta]
    assert isinstance(told, list)
    assert told[0]["type"] == "url_citation"


def test_without_the_wish_nothing_is_looked_up(client: OpenAI) -> None:
    made = client.chat.completions.create(model="gpt-4o", messages=ASKED)
    assert not made.choices[0].message.annotations
