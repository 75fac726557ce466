"""Embeddings: the documents' own model, in the shape that OpenAI's clients read."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import anyio
import anyio.lowlevel
import httpx
import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from deployments.faces.openai.routes.embedding_routes import Embeddings
from pipeline.admission.allowance import Allowance
from pipeline.auth.principals import Principal
from pipeline.core.fair_slots import FairPlaces
from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.embeddings.embedding_models import PACKAGED
from schemas.openai.embeddings_request import EmbeddingsRequest
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.openai_settings import EMBEDDINGS
from tests.support.memory_meter import MemoryMeter
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
TEXTS = ["The keeper lit the lamp.", "A lamp was lit by the keeper.", "Bread is made of flour and water."]
ANY = "text-embedding-3-small"
app = app_fixture(
    retrieval={"embedding": "wordllama", "judge": None},
    limits={
        "text_chars": 2_000,
        "principal": {"chars_per_minute": 3_000},
        "everybody": {"chars_per_minute": 3_000},
    },
)


@pytest.fixture
def client(app: RunningApp) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{app.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_texts_that_mean_the_same_are_near_each_other(client: OpenAI) -> None:
    """The Python package asks for base64 by itself."""
    made = client.embeddings.create(model=ANY, input=TEXTS)
    rows = np.array([one.embedding for one in made.data])
    assert [one.index for one in made.data] == [0, 1, 2]
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
    assert (made.model, made.usage.total_tokens) == (EMBEDDINGS["wordllama"], 22)
    plain = client.embeddings.create(model=made.model, input=TEXTS, encoding_format="float")
    assert np.array([one.embedding for one in plain.data]) == pytest.approx(rows, abs=1e-6)


def test_a_text_alone_and_fewer_dimensions(client: OpenAI) -> None:
    [whole] = client.embeddings.create(model=ANY, input=TEXTS[0]).data
    [short] = client.embeddings.create(model=ANY, input=TEXTS[0], dimensions=64).data
    assert np.linalg.norm(short.embedding) == pytest.approx(1, abs=1e-5)
    assert np.array(short.embedding) == pytest.approx(
        np.array(whole.embedding[:64]) / np.linalg.norm(whole.embedding[:64]), abs=1e-5
    )


def test_many_texts_keep_their_order(client: OpenAI) -> None:
    texts = [f"Number {number}." for number in range(20)]
    rows = [one.embedding for one in client.embeddings.create(model=ANY, input=texts).data]
    [last] = client.embeddings.create(model=ANY, input=texts[-1]).data
    assert rows[-1] == pytest.approx(last.embedding, abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": []}, "invalid_value", "input"),
        ({"input": ""}, "invalid_value", "input[0]"),
        ({"input": [1, 2]}, "unsupported_value", "input"),
        ({"input": [[1, 2]]}, "unsupported_value", "input"),
        ({"input": ["a"] * 2_049}, "invalid_value", "input"),
        ({"input": ["a" * 1_001] * 2}, "string_above_max_length", "input"),
        ({"dimensions": 0}, "invalid_value", "dimensions"),
        ({"dimensions": 257}, "invalid_value", "dimensions"),
        ({"encoding_format": "hex"}, "invalid_value", "encoding_format"),
    ],
)
def test_a_bad_wish_is_refused_by_code_and_param(
    client: OpenAI, fields: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.post("/embeddings", body={"model": ANY, "input": "a"} | fields, cast_to=object)
    assert (refused.value.code, refused.value.param) == (code, param)
    with pytest.raises(NotFoundError):
        client.embeddings.create(model="gpt-4o", input="a")


async def test_characters_are_counted(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answers = [
            await http.post("/v1/embeddings", json={"model": ANY, "input": "a" * 1_900}) for _ in range(3)
        ]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(refused.headers["Retry-After"]) > 0


@pytest.mark.parametrize("name", PACKAGED)
def test_the_models_are_called_by_their_names(name: str) -> None:
    assert PACKAGED[name]().name == EMBEDDINGS[name]  # type: ignore[index]


class Recording:
    """A librarian that remembers the order of the texts which it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        assert self.at_once == 0, "one call at a time"
        assert sum(map(len, texts)) <= 4_000 or len(texts) == 1
        self.at_once += 1
        self.asked += texts
        await anyio.lowlevel.checkpoint()
        self.at_once -= 1
        return np.ones((len(texts), 4), np.float32)


async def test_principals_take_turns_piece_by_piece(app: RunningApp) -> None:
    assert app.services is not None
    library, limits = Recording(), LimitSettings()
    allowance = Allowance(MemoryMeter(), limits)
    embeddings = Embeddings(cast(Any, library), app.services.names, allowance, limits, FairPlaces(1))

    async def ask(name: str, *texts: str) -> None:
        await embeddings.made(EmbeddingsRequest(model=ANY, input=list(texts)), Principal(name=name))

    async with anyio.create_task_group() as people:
        people.start_soon(ask, "anna", *(f"a{n}" for n in range(80)))
        people.start_soon(ask, "anna", *(f"{n}" * 3_999 for n in range(5)))
        people.start_soon(ask, "bob", "b")
    assert library.asked.index("b") < 20
    assert len(library.asked) == 86
