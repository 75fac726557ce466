"""`rhapsode mcp`."""

import anyio

from cluster.cli.command_help import explained, running_at


def mcp() -> None:
    """Be an MCP server on standard input and output, for programs that start one.

    Its tools are those of a running system's /v1/mcp: ask, speak, transcribe, list_sessions, read_session.

    Example: claude mcp add rhapsode -- rhapsode mcp
    """
    from cluster.client.mcp_bridge import serve
    from cluster.terminal.run_state import credential

    with explained():
        anyio.run(serve, running_at(), credential())
