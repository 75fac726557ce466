"""Schemathesis sends every route what its description allows, and what it does not: nothing breaks, and every
answer is one that the description knows."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from pipeline.transfer import erasure
from tests.support.hypothesis_profiles import examples
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.hypothesis  # its properties are inner functions
SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[3] / "docs" / "openapi.json")
"""Current, as tests/test_layout.py checks; making it anew would delay the collection of every process."""
LEFT_OUT = {
    "/v1/sessions/{session_id}/events",  # lasts as long as the session does
    "/v1/sessions/import",  # bundles and recordings are no JSON, and have fuzzers of their own
    "/v1/sessions/{session_id}/recordings",
}
ROUTES = [
    (method.upper(), path)
    for path, methods in SCHEMA.raw_schema["paths"].items()
    for method in methods
    if path not in LEFT_OUT
]
CHECKED = [
    CHECKS.get_one(name)
    for name in ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
]


def test_each_reference_in_the_description_is_to_a_schema_in_it() -> None:
    schemas = SCHEMA.raw_schema["components"]["schemas"]
    named = re.findall(r"'\$ref': '([^']+)'", str(SCHEMA.raw_schema))
    assert set(named) <= {f"#/components/schemas/{name}" for name in schemas}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home: Path = tmp_path_factory.mktemp("anything")
    retrieval = {"embedding": "wordllama", "judge": None}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(erasure, "LIST_S", 0.05)  # there are no workers, whose list would become current
        with running_app(scripted_settings(home, llm={"reply": "Yes."}, retrieval=retrieval)) as running:
            yield running


@pytest.fixture(scope="module")
def known(app: RunningApp) -> dict[str, str]:
    """Ids that lead somewhere."""
    with httpx.Client(base_url=app.url, timeout=30) as http:
        return {
            "session_id": http.post("/v1/sessions").json()["session_id"],
            "thread_id": http.post("/v1/threads").json()["id"],
            "story_id": http.post("/api/stories").json()["id"],
            "collection_id": http.post("/v1/collections", json={"name": "Bees"}).json()["id"],
            "character_id": http.post("/v1/characters", json={"name": "Fox"}).json()["id"],
        }


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_takes_anything(method: str, path: str, app: RunningApp, known: dict[str, str]) -> None:
    @given(case=st.one_of(SCHEMA[path][method].as_strategy(generation_mode=mode) for mode in GenerationMode))
    @settings(
        max_examples=examples(5, 30),
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: schemathesis.Case) -> None:
        if method != "DELETE":
            meant = {name: value for name, value in known.items() if name in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **meant}
        response = case.call(base_url=app.url, timeout=30)
        assert response.status_code < 500 or response.status_code == 503, response.text
        case.validate_response(response, checks=CHECKED)

    asked()
