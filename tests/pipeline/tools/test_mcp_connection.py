"""Tools of MCP servers as functions: a real server of the SDK, as a program and over HTTP."""

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.server.mcpserver import MCPServer
from pydantic import ValidationError

from pipeline.tools.mcp_transports import _BoundedAnswers
from pipeline.tools.remote_functions import ToolCallContext, pseudonym
from pipeline.tools.tool_registry import ToolRegistry
from schemas.errors import ToolError, ToolTimeout, ToolUnknown
from schemas.settings.model_settings import OUTPUT_CHARS
from schemas.settings.tool_settings import RegisteredMcpServer, ToolRegistrySettings
from tests.support.eventually import eventually
from tests.support.servers import mcp_station
from tests.support.servers.web_server_thread import serving, serving_somewhere

pytestmark = [pytest.mark.anyio, pytest.mark.server]
ROOT = Path(__file__).parents[3]
STATION = (sys.executable, "-m", "tests.support.servers.mcp_station")
ALL = ("forecast", "broken", "never", "long", "process", "die")
ABOUT = ToolCallContext("session-1", 7)


def program(*arguments: str, **changes: Any) -> dict[str, Any]:
    return {"command": (*STATION, *arguments), "tools": ALL, "env": {"PYTHONPATH": str(ROOT)}} | changes


@asynccontextmanager
async def registry(**servers: dict[str, Any]) -> AsyncGenerator[ToolRegistry, None]:
    settings = ToolRegistrySettings(
        mcp_servers={name: RegisteredMcpServer(**server) for name, server in servers.items()}
    )
    async with ToolRegistry(settings) as made:
        yield made
    await made.aclose()


async def said(made: ToolRegistry, name: str, arguments: str = "{}") -> str:
    return (await made.call(name, "c", arguments, ABOUT)).output


@contextmanager
def station_at(port: int = 0) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", port))
    place = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # A server is made once: its app holds the sessions of its clients.
    fresh = MCPServer("station", tools=list(mcp_station.station._tool_manager.list_tools()))
    with serving(fresh.streamable_http_app(), listener, "the station", lifespan="on", log_level="warning"):
        yield f"{place}/mcp"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with station_at() as url:
        yield url


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_program_s_tools_are_offered_with_its_own_words_and_called(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(ROOT), "STATION": "hail"}
    async with registry(house=program(tools=("forecast",), env=env)) as made:
        assert made.names == ("house_forecast",)
        assert made.offers(made.names) == ()
        await made.ready(made.names)
        [offer] = made.offers(made.names)
        assert (offer.name, offer.description) == ("house_forecast", "The weather of the next days.")
        assert offer.parameters["required"] == ["city"]
        assert await said(made, "house_forecast", '{"city": "Kiel"}') == "Kiel: rain, and hail"


async def test_tools_at_an_address_are_called_side_by_side(address: str) -> None:
    async with registry(far={"url": address, "tools": ("forecast",)}) as made:
        found: list[str] = []

        async def one(city: str) -> None:
            found.append(await said(made, "far_forecast", f'{{"city": "{city}"}}'))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(one, f"city {number}")
        assert sorted(found) == [f"city {number}: rain, and wind" for number in range(8)]


@pytest.mark.parametrize("far", [False, True], ids=["program", "address"])
async def test_an_error_of_a_server_is_an_error_of_the_call(address: str, far: bool) -> None:
    server = {"url": address, "tools": ALL} if far else program()
    async with registry(house=server | {"timeout_s": 0.5, "connect_s": 20}) as made:
        await made.ready(made.names)
        with pytest.raises(ToolError, match="fell off the wall"):
            await said(made, "house_broken")
        with pytest.raises(ToolError, match="city"):
            await said(made, "house_forecast", '{"days": 1}')
        with pytest.raises(ToolTimeout):
            await said(made, "house_never")
        assert "rain" in await said(made, "house_forecast", '{"city": "Kiel"}')


async def test_a_result_is_cut_where_every_function_s_is() -> None:
    async with registry(house=program()) as made:
        result = await made.call("house_long", "c", '{"chars": 50000}', ABOUT)
        assert (len(result.output), result.cut) == (OUTPUT_CHARS, True)


@pytest.mark.parametrize("far", [False, True], ids=["program", "address"])
async def test_an_answer_beyond_the_bound_is_not_held(address: str, far: bool) -> None:
    server = {"url": address, "tools": ALL} if far else program()
    async with registry(house=server | {"answer_bytes": 20_000}) as made:
        with pytest.raises(ToolError):
            await said(made, "house_long", '{"chars": 50000}')
        assert await said(made, "house_long", '{"chars": 5}') == "aaaaa"


async def test_a_program_that_dies_is_started_again() -> None:
    async with registry(house=program()) as made:
        first = int(await said(made, "house_process"))
        with pytest.raises(ToolError, match="ended before it answered"):
            await said(made, "house_die")
        second = int(await said(made, "house_process"))
        assert second != first
        os.kill(second, 9)
        await eventually(lambda: made._servers["house"]._life is None)
        assert int(await said(made, "house_process")) not in (first, second)


async def test_a_server_that_was_restarted_is_connected_again() -> None:
    with station_at() as url:
        port = int(url.split(":")[2].partition("/")[0])
    async with registry(far={"url": url, "tools": ("forecast",)}) as made:
        with station_at(port):
            assert "rain" in await said(made, "far_forecast", '{"city": "Kiel"}')
        with station_at(port):
            assert "rain" in await said(made, "far_forecast", '{"city": "Kiel"}')


async def test_programs_end_with_the_registry_also_those_that_do_not_want_to() -> None:
    async with registry(house=program(), hut=program("stubborn")) as made:
        pids = [int(await said(made, f"{name}_process")) for name in ("house", "hut")]
        assert all(map(alive, pids))
    assert not any(map(alive, pids))


def test_a_program_ends_with_a_gateway_that_is_killed() -> None:
    code = """
import anyio
from tests.pipeline.tools.test_mcp_connection import program, registry, said
async def main():
    async with registry(hut=program()) as made:
        print(await said(made, "hut_process"), flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        pid = int(gateway.stdout.readline())
        assert alive(pid)
        gateway.kill()
    anyio.run(eventually, lambda: not alive(pid))


async def test_a_server_that_cannot_be_reached_is_an_error_of_the_call_and_keeps_nobody_waiting() -> None:
    nowhere = {"command": ("/nowhere/at-all",), "tools": ("forecast",)}
    hanging = {"command": ("sleep", "100"), "tools": ("forecast",), "connect_s": 0.2}
    closed = {"url": "http://127.0.0.1:9/mcp", "tools": ("forecast",)}
    async with registry(nowhere=nowhere, hanging=hanging, closed=closed) as made:
        with anyio.fail_after(20):
            await made.ready(made.names)
        assert made.offers(made.names) == ()
        for name in made.names:
            with pytest.raises(ToolError, match="cannot be reached"):
                await said(made, name)


async def test_only_tools_that_the_operator_allows_are_there_and_only_for_whom(address: str) -> None:
    server = {"url": address, "tools": ("forecast",), "principals": ("anna",)}
    async with registry(far=server) as made:
        assert made.allowed(("far_forecast", "far_secret"), pseudonym("anna")) == ("far_forecast",)
        assert made.allowed(("far_forecast",), pseudonym("bob")) == ()
        assert made.allowed(("far_forecast",), "") == ()
        with pytest.raises(ToolUnknown):
            await said(made, "far_secret")
        with pytest.raises(ToolUnknown):
            await said(made, "far_forecast", '{"city": "Kiel"}')
        hers = ToolCallContext("session-1", 7, pseudonym("anna"))
        assert (await made.call("far_forecast", "c", '{"city": "Kiel"}', hers)).output.startswith("Kiel")


SEALED = """
import json, sys
schema = {"type": "object", "properties": {"seal": {"type": "string", "pattern": "^(a+)+$"}}}
tool = {"name": "sealed", "inputSchema": {"type": "object"}, "outputSchema": schema}
about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "sealed", "version": "1"}}
letter = {"content": [{"type": "text", "text": "open"}], "structuredContent": {"seal": "aab"}}
for message in map(json.loads, sys.stdin):
    answers = {
        "initialize": lambda params: about | {"protocolVersion": params["protocolVersion"]},
        "tools/list": lambda params: {"tools": [tool]},
        "tools/call": lambda params: letter,
    }
    answer = answers.get(message["method"])
    if "id" in message:
        error = {"code": -32601, "message": "there is no such method"}
        said = {"result": answer(message.get("params"))} if answer else {"error": error}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)
"""


async def test_a_result_is_not_matched_with_expressions_of_its_server() -> None:
    """Of 40 letters this expression would hold the loop for years."""
    server = {"command": (sys.executable, "-c", SEALED), "tools": ("sealed",)}
    async with registry(post=server) as made:
        assert await said(made, "post_sealed") == "open"


async def test_a_compressed_answer_is_not_read() -> None:
    async def compressed(scope: Any, receive: Any, send: Any) -> None:
        assert dict(scope["headers"])[b"accept-encoding"] == b"identity"
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": gzip.compress(b" " * 10_000_000 + b"{}")})

    with serving_somewhere(compressed, "the compressor") as url:
        async with httpx2.AsyncClient(transport=_BoundedAnswers(20_000)) as http:
            with pytest.raises(httpx2.ReadError, match="compressed"):
                await http.get(url)


@pytest.mark.parametrize(
    "servers",
    [
        {"a": {"tools": ("x",)}},
        {"a": {"url": "http://here", "command": ("x",), "tools": ("x",)}},
        {"a": {"url": "file:///etc/passwd", "tools": ("x",)}},
        {"a": {"url": "http://here", "tools": ()}},
        {"a": {"url": "http://here", "tools": ("x.y", "x_y")}},
        {"a b": {"url": "http://here", "tools": ("x",)}},
    ],
)
def test_settings_that_name_no_server_are_refused(servers: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ToolRegistrySettings.model_validate({"mcp_servers": servers})


async def test_the_key_in_an_address_is_not_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP client names the whole address in its errors."""
    url = "http://127.0.0.1:9/mcp?key=s3cret&more=s3cret"

    def refuses(*_: Any, **__: Any) -> Any:
        raise httpx2.ConnectError(f"Client error for url '{url}' (no route)")

    monkeypatch.setattr("pipeline.tools.mcp_connection.http_transport", refuses)
    async with registry(far={"url": url, "tools": ("tell",), "connect_s": 5}) as made:
        with pytest.raises(ToolError):
            await made.call("far_tell", "c", "{}", ABOUT)
    assert "(no route)" in caplog.text
    assert "s3cret" not in caplog.text
