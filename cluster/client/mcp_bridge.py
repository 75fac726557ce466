"""An MCP server over standard input and output, whose tools are those of a running Rhapsode's `/v1/mcp`."""

from collections.abc import Mapping
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

from cluster.terminal.cli_errors import CliError
from schemas.version import VERSION

_PATIENCE = httpx2.Timeout(30.0, read=None)


async def serve(url: str, headers: Mapping[str, str]) -> None:
    """Returns when the client closes its end. Raises CliError where nobody answers at `url`."""
    async with httpx2.AsyncClient(headers=dict(headers), timeout=_PATIENCE, trust_env=False) as http:
        try:
            async with Client(streamable_http_client(f"{url}/v1/mcp", http_client=http)) as client:
                await _relay(client)
        except* (MCPError, httpx2.HTTPError) as group:
            error = group.exceptions[0]
            raise CliError(f"{url}/v1/mcp does not answer as an MCP server: {error}.") from error


async def _relay(client: Client) -> None:
    async def list_tools(_: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return await client.list_tools(cursor=params.cursor if params is not None else None)

    async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
        return await client.call_tool(params.name, params.arguments)

    server: Server[Any] = Server(
        "rhapsode",
        version=VERSION,
        instructions=client.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
