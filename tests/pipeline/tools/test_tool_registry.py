"""Functions that this server calls: found, described, checked, bounded."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr, ValidationError

from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import BuiltInFunction, ToolRegistry
from schemas.errors import RhapsodeError, ToolArguments, ToolError, ToolTimeout, ToolUnknown
from schemas.settings import AppSettings
from schemas.settings.model_settings import OUTPUT_CHARS
from schemas.settings.tool_settings import RegisteredFunction, RegisteredMcpServer, ToolRegistrySettings
from tests.support.asked_turns import tool_registry
from tests.support.servers.fake_server import FakeServer, open_server

pytestmark = pytest.mark.anyio
HERE = "tests.support.operator_functions"
ABOUT = ToolCallContext("session-1", 7)


def python(name: str, **changes: Any) -> RegisteredFunction:
    return RegisteredFunction(entry_point=f"{HERE}:{name}", **changes)


@dataclass
class Office(FakeServer):
    """Answers calls over HTTP."""

    answer: str | bytes = '{"open": true}'
    status: int = 200
    encoding: str | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def serving_office() -> Iterator[Office]:
    office, app = Office(), FastAPI()

    @app.post("/hours")
    async def hours(request: Request) -> Response:
        if office.silent:
            await anyio.sleep_forever()
        office.seen.append({"headers": dict(request.headers), "body": await request.json()})
        headers = {"Content-Encoding": office.encoding} if office.encoding else None
        return Response(office.answer, office.status, headers, "application/json")

    with open_server(office, app, "the office"):
        yield office


@pytest.fixture
def office(serving_office: Office) -> Office:
    serving_office.forget()
    return serving_office


def at(office: Office, **changes: Any) -> RegisteredFunction:
    return RegisteredFunction(url=f"{office.url}/hours", **changes)


async def said(functions: ToolRegistry, name: str, arguments: Any = "{}") -> str:
    given = arguments if isinstance(arguments, str) else json.dumps(arguments)
    try:
        return (await functions.call(name, "call_1", given, ABOUT)).output
    finally:
        await functions.aclose()


async def test_a_python_function_tells_by_its_annotations_what_it_takes() -> None:
    [offer] = tool_registry(weather=python("weather")).offers(["weather"])
    assert offer.description == "The weather of the next days."
    assert offer.parameters["required"] == ["city"]
    assert offer.parameters["properties"]["days"]["type"] == "integer"


async def test_the_operators_description_of_a_function_comes_first() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"enum": ["Kiel"]}}}
    [offer] = tool_registry(weather=python("weather", description="Kiel only.", parameters=schema)).offers(
        ["weather", "gone"]
    )
    assert (offer.description, offer.parameters) == ("Kiel only.", schema)


async def test_plain_and_async_functions_are_called_with_their_arguments() -> None:
    functions = tool_registry(weather=python("weather"), tides=python("tides"))
    result = await functions.call("weather", "c", '{"city": "Kiel", "days": 2}', ABOUT)
    assert json.loads(result.output) == {"city": "Kiel", "celsius": [7, 7]}
    assert await said(functions, "tides", {"harbour": "Husum"}) == "Husum: 04:12 and 16:40"


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("weather", {}, ToolArguments, "city: Missing"),
        ("weather", {"city": "Kiel", "wind": 1}, ToolArguments, "wind: Unexpected"),
        ("tides", {"harbour": 3}, ToolArguments, "harbour: Input should be a valid string"),
        ("weather", "[1]", ToolArguments, "no JSON object"),
        ("weather", '{"city": ', ToolArguments, "no JSON"),
        ("weather", "[" * 100_000, ToolArguments, "no JSON"),
        ("weather", '{"city": NaN}', ToolArguments, "NaN is no number"),
        ("untold", {}, ToolError, "it failed: TypeError"),
        ("broken", {}, ToolError, "the barometer fell off the wall"),
        ("never", {}, ToolTimeout, "longer than 0.05 s"),
        ("tunes", {}, ToolUnknown, "there is no function 'tunes'"),
    ],
)
async def test_a_call_that_cannot_be_made_says_why(
    name: str, arguments: Any, error: type[RhapsodeError], words: str
) -> None:
    functions = tool_registry(
        weather=python("weather"),
        tides=python("tides"),
        broken=python("broken"),
        untold=python("untold"),
        never=python("never", timeout_s=0.05),
    )
    with pytest.raises(error, match=None) as caught:
        await said(functions, name, arguments)
    assert words in str(caught.value)


async def test_a_long_result_is_cut_and_says_so() -> None:
    functions = tool_registry(long=python("long"))
    result = await functions.call("long", "c", "{}", ABOUT)
    assert (len(result.output), result.cut) == (OUTPUT_CHARS, True)
    await functions.aclose()


async def test_a_function_at_an_address_is_posted_to_with_a_key_that_stays_the_same(office: Office) -> None:
    registered = at(office, headers={"Authorization": SecretStr("Bearer open-sesame")})
    assert await said(tool_registry(hours=registered), "hours", {"day": "monday"}) == '{"open": true}'
    [seen] = office.seen
    assert seen["body"] == {
        "call": "call_1",
        "name": "hours",
        "arguments": {"day": "monday"},
        "session": "session-1",
    }
    assert seen["headers"]["idempotency-key"] == "session-1/7/call_1"
    assert seen["headers"]["authorization"] == "Bearer open-sesame"
    assert "sesame" not in repr(registered)


async def test_a_function_is_told_by_a_pseudonym_who_asks(office: Office) -> None:
    functions = tool_registry(hours=at(office))
    for principal in ("anna", "anna", "bob", ""):
        about = ToolCallContext("session-1", 7, pseudonym(principal))
        await functions.call("hours", "call_1", '{"day": "monday"}', about)
    await functions.aclose()
    first, again, other, nobody = (seen["headers"].get("x-rhapsode-principal") for seen in office.seen)
    assert first == again == sha256(b"anna").hexdigest()[:32]
    assert other not in (first, None)
    assert nobody is None


async def test_wrong_arguments_are_told_before_anybody_is_asked(office: Office) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"day": {"enum": ["monday"]}}}
    with pytest.raises(ToolArguments, match="day: 'fryday' is not one of"):
        await said(tool_registry(hours=at(office, parameters=schema)), "hours", {"day": "fryday"})
    assert not office.seen


async def test_a_server_that_refuses_is_quoted(office: Office) -> None:
    office.status, office.answer = 418, "teapots only"
    with pytest.raises(ToolError, match="hours answered HTTP 418: teapots only"):
        await said(tool_registry(hours=at(office)), "hours")


async def test_a_compressed_answer_is_not_read(office: Office) -> None:
    office.encoding, office.answer = "gzip, gzip", gzip.compress(gzip.compress(bytes(1_000_000)))
    with pytest.raises(ToolError, match="hours sent a compressed answer"):
        await said(tool_registry(hours=at(office)), "hours")
    [seen] = office.seen
    assert seen["headers"]["accept-encoding"] == "identity"


async def test_a_server_that_is_silent_or_gone_is_not_waited_for(office: Office) -> None:
    office.silent = True
    with pytest.raises(ToolTimeout, match=r"longer than 0\.1 s"):
        await said(tool_registry(hours=at(office, timeout_s=0.1)), "hours")
    with pytest.raises(ToolError, match="hours cannot be reached"):
        await said(tool_registry(hours=RegisteredFunction(url="http://127.0.0.1:9/hours")), "hours")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("tests.support.operator_functions:nothing", "there is no tests.support.operator_functions:nothing"),
        ("tests.support.nowhere:weather", "there is no tests.support.nowhere:weather"),
        ("tests.support.operator_functions:NUMBER", "is no function"),
        ("tests.support.operator_functions:only_places", "without names"),
    ],
)
def test_a_function_that_cannot_be_had_is_named_at_the_start(place: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"tools\.functions\.weather") as caught:
        tool_registry(weather=RegisteredFunction(entry_point=place))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"url": "http://a", "entry_point": "a:b"}, {"url": "ftp://a"}, {"entry_point": "weather"}],
)
def test_a_function_is_in_one_place(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RegisteredFunction.model_validate(wrong)


async def test_halves_of_characters_reach_no_server(office: Office) -> None:
    assert await said(tool_registry(hours=at(office)), "hours", '{"day": "\ud83d"}') == '{"open": true}'
    assert office.seen[0]["body"]["arguments"] == {"day": "\ufffd"}


async def test_a_built_in_function_is_offered_and_called_unless_the_operator_has_one_of_its_name() -> None:
    async def act(arguments: Mapping[str, Any], about: ToolCallContext) -> str:
        if not arguments:
            raise ToolArguments("to: it is missing")
        return f"{arguments['to']} in {about.session}"

    built_in = BuiltInFunction("Transfers.", {"type": "object"}, act)
    registry = tool_registry(weather=python("weather"))
    registry.build_in({"transfer": built_in, "weather": built_in})
    [offer] = registry.offers(["transfer"])
    assert (offer.name, offer.description) == ("transfer", "Transfers.")
    assert (await registry.call("transfer", "c1", '{"to": "keeper"}', ABOUT)).output == "keeper in session-1"
    with pytest.raises(ToolArguments, match="to"):
        await registry.call("transfer", "c1", "{}", ABOUT)
    [theirs] = registry.offers(["weather"])
    assert theirs.description != "Transfers."
    await registry.aclose()


def test_the_workers_open_asynchronous_functions_alone() -> None:
    """A package or a program that only gateways have keeps no worker from its other work."""
    server = {"command": ["station"], "tools": ["forecast", "broken"], "asynchronous": ["forecast"]}
    settings = ToolRegistrySettings.model_validate(
        {
            "functions": {
                "elsewhere": {"entry_point": "not.here:at_all"},
                "tides": {"entry_point": "tests.support.operator_functions:tides", "asynchronous": True},
            },
            "mcp_servers": {"station": server, "quick": {"command": ["quick"], "tools": ["look"]}},
        }
    )
    assert ToolRegistry(settings.asynchronous).names == ("tides", "station_forecast")
    with pytest.raises(ValidationError, match="asynchronous names 'moon', which is not among the tools"):
        RegisteredMcpServer.model_validate(server | {"asynchronous": ["moon"]})


def test_a_try_of_the_workers_outlasts_every_asynchronous_call() -> None:
    slow = {"entry_point": "not.here:at_all", "timeout_s": 600}
    station = {"command": ["station"], "tools": ["look"], "timeout_s": 600, "connect_s": 120}
    both = {"functions": {"slow": slow | {"asynchronous": True}}, "mcp_servers": {"station": station}}
    AppSettings.model_validate({"tools": both, "workers": {"try_s": 601}})
    AppSettings.model_validate({"tools": {"mcp_servers": {"station": station | {"asynchronous": ["look"]}}}})
    for tools, seconds in (
        (both, 600),
        ({"mcp_servers": {"station": station | {"asynchronous": ["look"]}}}, 720),
    ):
        with pytest.raises(ValidationError, match=f"workers.try_s has to be above {seconds}"):
            AppSettings.model_validate({"tools": tools, "workers": {"try_s": seconds}})
