"""One MCP server as this process knows it: connected when it is first needed, and again after it has died."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import mcp_types
from mcp import Client, MCPError

from pipeline.tools.mcp_transports import http_transport, stdio_transport
from schemas.errors import ToolError, ToolTimeout
from schemas.settings.tool_settings import RegisteredMcpServer
from schemas.version import VERSION

log = logging.getLogger(__name__)

_AGAIN_S: Final = 5.0
"""How long a server that could not be reached is not asked again."""
_QUERY: Final = re.compile(r"\?[^\s'\"]+")
_PAGES: Final = 20
"""Of a server's list of tools."""
_LOST: Final = frozenset({mcp_types.CONNECTION_CLOSED, mcp_types.INVALID_REQUEST})
"""Codes for a connection that is over, or a session that the server does not know any more."""


@dataclass(slots=True)
class _Life:
    """One connection, from its beginning to its end."""

    known: anyio.Event = field(default_factory=anyio.Event)
    """It is up, or cannot be."""
    over: anyio.Event = field(default_factory=anyio.Event)
    client: Client | None = None


class McpConnection:
    """Connection to one server. `run` holds it, in a task of its own; any task may call tools."""

    def __init__(self, name: str, settings: RegisteredMcpServer) -> None:
        self.settings = settings
        self.tools: dict[str, mcp_types.Tool] = {}
        """Tools that are allowed and there, as the server described them last."""
        self._name = name
        self._life: _Life | None = None
        self._failed_s = -_AGAIN_S

    async def ready(self, spawn: Callable[..., None]) -> None:
        """Returns when it is connected, or cannot be. `spawn` starts the task that holds the connection."""
        if self._life is None:
            if anyio.current_time() < self._failed_s + _AGAIN_S:
                return
            self._life = _Life()
            spawn(self._hold, self._life)
        await self._life.known.wait()

    async def _hold(self, life: _Life) -> None:
        with anyio.CancelScope(deadline=anyio.current_time() + self.settings.connect_s) as scope:
            try:
                async with Client(
                    self._transport(life.over.set),
                    client_info=mcp_types.Implementation(name="rhapsode", version=VERSION),
                    cache=None,
                ) as client:
                    client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
                    self.tools = await self._listed(client)
                    scope.deadline = float("inf")
                    life.client = client
                    life.known.set()
                    await life.over.wait()
            except Exception as error:  # of somebody else's program: the turn that needs it goes on without
                log.warning("the MCP server %s is not connected: %s", self._name, _first(error))
            finally:
                if self._life is life:
                    self._life = None
                if life.client is None:
                    self._failed_s = anyio.current_time()
                life.client = None
                life.known.set()
                life.over.set()
        if scope.cancelled_caught:
            log.warning("the MCP server %s did not start within %g s", self._name, self.settings.connect_s)

    def _transport(self, ended: Callable[[], None]) -> AbstractAsyncContextManager[Any]:
        settings = self.settings
        if settings.command:
            env = {name: value.get_secret_value() for name, value in settings.env.items()}
            return stdio_transport(settings.command, env, longest=settings.answer_bytes, ended=ended)
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        return http_transport(
            settings.url or "", headers, longest=settings.answer_bytes, connect_s=settings.connect_s
        )

    async def _listed(self, client: Client) -> dict[str, mcp_types.Tool]:
        found: dict[str, mcp_types.Tool] = {}
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            found |= {tool.name: tool for tool in page.tools if tool.name in self.settings.tools}
            cursor = page.next_cursor
            if cursor is None:
                break
        if missing := set(self.settings.tools) - found.keys():
            log.warning("the MCP server %s has no tool %s", self._name, ", ".join(sorted(missing)))
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any], spawn: Callable[..., None]) -> str:
        """The text of the tool's result. Raises ToolError or ToolTimeout.

        A call that a server did not take, for its session is over, is made once more.
        """
        for attempt in (1, 2):
            await self.ready(spawn)
            life = self._life
            if life is None or life.client is None:
                raise ToolError(f"the MCP server {self._name} cannot be reached")
            try:
                result = await life.client.call_tool(
                    tool, dict(arguments), read_timeout_seconds=self.settings.timeout_s
                )
            except MCPError as error:
                if error.error.code == mcp_types.REQUEST_TIMEOUT:
                    raise ToolTimeout(f"{tool} took longer than {self.settings.timeout_s:g} s") from error
                if error.error.code not in _LOST:
                    raise ToolError(f"{tool} failed: {error.error.message}") from error
                life.over.set()
                self._life = None if self._life is life else self._life
                if attempt == 2 or error.error.code == mcp_types.CONNECTION_CLOSED:
                    raise ToolError(f"the MCP server {self._name} ended before it answered") from error
            else:
                if result.is_error:
                    raise ToolError(f"{tool} failed: {_text(result)}")
                return _text(result)
        raise AssertionError


async def _unchecked(name: str, result: mcp_types.CallToolResult) -> None:
    """The text of a result is all that counts. The SDK would match the rest with regular expressions of the
    server's own, on the loop: 40 characters can take one of them years."""


def _text(result: mcp_types.CallToolResult) -> str:
    """Everything in it that can be read; of other content what it is."""
    parts = []
    for block in result.content:
        if isinstance(block, mcp_types.TextContent):
            parts.append(block.text)
        elif isinstance(block, mcp_types.EmbeddedResource):
            held = block.resource
            parts.append(held.text if isinstance(held, mcp_types.TextResourceContents) else f"[{held.uri}]")
        elif isinstance(block, mcp_types.ResourceLink):
            parts.append(f"[{block.name}: {block.uri}]")
        else:
            parts.append(f"[{block.type}: {block.mime_type}]")
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _first(error: BaseException) -> str:
    """The plain error within groups of task groups, without the queries of addresses: keys may be in them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {_QUERY.sub('?…', str(error))}"
