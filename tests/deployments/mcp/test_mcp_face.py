"""This server as an MCP server: the SDK's own client, over HTTP and through `rhapsode mcp`."""

import base64
import io
import sys
import wave
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import METHOD_NOT_FOUND, AudioContent, CallToolResult, TextContent

from deployments.faces.mcp import mcp_tools
from schemas.bounds import VALUES
from tests.support.clients.access_people import STORY, People, settings_at
from tests.support.clients.openai_requests import SAID, spoken
from tests.support.running_app import RunningApp, running_app

pytestmark = pytest.mark.anyio
TOOLS = {"ask", "speak", "transcribe", "list_sessions", "read_session"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def people(home: Path) -> People:
    return People.at(home)


@pytest.fixture(scope="module")
def app(home: Path, people: People) -> Iterator[RunningApp]:
    with running_app(settings_at(home, stt={"texts": [SAID]}), workers=True) as running:
        yield running


@asynccontextmanager
async def client(app: RunningApp, key: str, mode: str = "auto") -> AsyncGenerator[Client, None]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{app.url}/v1/mcp", http_client=http), mode=mode) as opened,
    ):
        yield opened


def words(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, TextContent))


async def structured(opened: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await opened.call_tool(tool, arguments)
    assert not result.is_error, words(result)
    found: dict[str, Any] = result.structured_content
    return found


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_question_is_answered_in_a_session_that_goes_on(
    app: RunningApp, people: People, mode: str
) -> None:
    async with client(app, people.anna, mode) as anna:
        assert {tool.name for tool in (await anna.list_tools()).tools} == TOOLS
        first = await structured(anna, "ask", question="Tell me")
        assert (first["answer"], first["audio"]) == (STORY, None)
        again = await structured(anna, "ask", question="And?", session_id=first["session_id"], speak=True)
        assert again["session_id"] == first["session_id"]
        read = await structured(anna, "read_session", session_id=first["session_id"])
        assert [turn["asked"] for turn in read["turns"]] == ["Tell me", "And?"]
        assert read["turns"][1] == {
            **{"turn": again["turn"], "asked": "And?", "answer": STORY, "status": "completed"},
        }
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {people.anna}"}) as http:
        sound = await http.get(app.url + again["audio"])
    assert sound.headers["content-type"] == "audio/wav"


async def test_of_a_long_session_the_newest_turns_are_read(
    app: RunningApp, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(app, people.anna) as anna:
        session = (await structured(anna, "ask", question="First"))["session_id"]
        await structured(anna, "ask", question="Second", session_id=session)
        monkeypatch.setattr(mcp_tools, "_TOLD_CHARS", len(f"Second{STORY}First") + 3)
        read = (await structured(anna, "read_session", session_id=session))["turns"]
    assert [(turn["asked"], turn["answer"]) for turn in read] == [("First", STORY[:3]), ("Second", STORY)]


async def test_sessions_are_listed_once_they_are_known(app: RunningApp, people: People) -> None:
    async with client(app, people.anna) as anna:
        asked = await structured(anna, "ask", question="Where is the marmot?")
        with anyio.fail_after(30):
            while True:
                listed = await structured(anna, "list_sessions", query="marmot")
                if [one["session_id"] for one in listed["sessions"]] == [asked["session_id"]]:
                    return


async def test_a_text_is_spoken_and_a_recording_written_down(app: RunningApp, people: People) -> None:
    async with client(app, people.anna) as anna:
        result = await anna.call_tool("speak", {"text": "Good evening.", "format": "wav"})
        [sound] = [block for block in result.content if isinstance(block, AudioContent)]
        assert sound.mime_type == "audio/wav"
        with wave.open(io.BytesIO(base64.b64decode(sound.data))) as file:
            assert file.getframerate() == 24_000
        recording = base64.b64encode(spoken()).decode()
        assert words(await anna.call_tool("transcribe", {"audio": recording})) == SAID


async def test_an_argument_that_holds_more_json_than_a_request_may_is_refused(
    app: RunningApp, people: People
) -> None:
    text = "[" + "[]," * (3 * VALUES) + "[]]"  # the SDK reads it where the tool takes no text
    params = {"name": "list_sessions", "arguments": {"limit": text}}
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {people.anna}"}) as http:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = await http.post(f"{app.url}/v1/mcp", json=message)
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large"), answer.text
    async with client(app, people.anna) as anna:
        assert not (await anna.call_tool("list_sessions", {"query": "[" + "1," * 90})).is_error


async def test_an_impossible_call_is_an_error_with_its_code(app: RunningApp, people: People) -> None:
    async with client(app, people.anna) as anna:
        for tool, arguments, code in (
            ("ask", {"question": " "}, "input.invalid"),
            ("ask", {"question": "And?", "session_id": "x"}, "session.not_found"),
            ("speak", {"text": "word " * 2_000}, "input.too_long"),
            ("speak", {"text": "Hello.", "voice": "nobody's"}, "voice.unknown"),
            ("transcribe", {"audio": "?"}, "sound.unreadable"),
            ("transcribe", {"audio": "aGVsbG8="}, "sound.unreadable"),
        ):
            result = await anna.call_tool(tool, arguments)
            assert result.is_error
            assert code in words(result), (tool, words(result))


async def test_the_session_of_another_principal_is_not_there(app: RunningApp, people: People) -> None:
    async with client(app, people.anna) as anna, client(app, people.bob) as bob:
        hers = (await structured(anna, "ask", question="Tell me"))["session_id"]
        for tool, arguments in (("read_session", {}), ("ask", {"question": "And?"})):
            result = await bob.call_tool(tool, {"session_id": hers, **arguments})
            assert "session.not_found" in words(result)
        listed = await structured(bob, "list_sessions")
        assert hers not in str(listed)
    async with client(app, people.root) as root:
        assert (await structured(root, "read_session", session_id=hers))["turns"]
        refused = await root.call_tool("ask", {"session_id": hers, "question": "And?"})
        assert "session.not_found" in words(refused)


async def test_a_program_starts_it_as_a_server_on_standard_input_and_output(
    app: RunningApp, people: People, home: Path
) -> None:
    rhapsode = str(Path(sys.executable).parent / "rhapsode")
    env = {"RHAPSODE_KEY": people.anna, "RHAPSODE_HOME": str(home)}
    started = StdioServerParameters(command=rhapsode, args=["--url", app.url, "mcp"], env=env)
    async with Client(started) as anna:
        assert {tool.name for tool in (await anna.list_tools()).tools} == TOOLS
        assert (await structured(anna, "ask", question="Tell me"))["answer"] == STORY
        result = await anna.call_tool("read_session", {"session_id": "x"})
        assert "session.not_found" in words(result)


async def test_a_message_that_is_no_json_or_has_too_many_values_is_refused(
    app: RunningApp, people: People
) -> None:
    headers = {"Authorization": f"Bearer {people.anna}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        broken = await http.post(f"{app.url}/v1/mcp", content='{"jsonrpc"')
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, -32700)
        listing = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"x": [%s0]}}'
        large = await http.post(f"{app.url}/v1/mcp", content=listing % ("[]," * 60_000))
        assert large.status_code == 413, large.text


async def test_a_stream_of_changes_is_refused_as_tools_never_change(app: RunningApp, people: People) -> None:
    async with client(app, people.anna) as anna:
        with pytest.raises(MCPError) as refused:
            async with anna.listen(tools_list_changed=True):
                raise AssertionError
    assert refused.value.error.code == METHOD_NOT_FOUND


async def test_no_client_comes_in_without_a_key(app: RunningApp) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(
            f"{app.url}/v1/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
