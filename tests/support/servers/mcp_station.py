"""An MCP server of the official SDK: a weather station. As a program it speaks over its input and output."""

import os
import signal
import sys

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

station = MCPServer("station")


@station.tool()
def forecast(city: str, days: int = 1) -> str:
    """The weather of the next days."""
    return f"{city}: {'rain, ' * days}and {os.environ.get('STATION', 'wind')}"


@station.tool()
def broken() -> str:
    """Always fails."""
    raise ToolError("the barometer fell off the wall")


@station.tool()
async def never() -> str:
    """Waits for what does not come."""
    await anyio.sleep_forever()
    return ""


@station.tool()
def long(chars: int) -> str:
    """Says much."""
    return "a" * chars


@station.tool(structured_output=False)
def process() -> str:
    """The number of this process."""
    return str(os.getpid())


@station.tool()
def die() -> str:
    """Ends this process before it answers."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@station.tool()
def secret() -> str:
    """Is for nobody."""
    return "the code is 1908"


if __name__ == "__main__":
    if sys.argv[1:] == ["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    station.run()
