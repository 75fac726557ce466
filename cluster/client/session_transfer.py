"""`export` and `import`: sessions as files."""

from pathlib import Path

import anyio

from cluster.client.http_client import Client
from cluster.terminal.cli_errors import UsageError


async def export(url: str, session: str, file: Path, force: bool = False) -> str:
    """Write the session's bundle to `file`; what to tell the user. Overwrites only with `force`."""
    if await anyio.Path(file).exists() and not force:
        raise UsageError(f"{file} is there already.", "Add --force, or choose another.")
    folder = anyio.Path(file).parent
    if not await folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Make it first.")
    async with Client(url) as client:
        size = await client.export(session, file)
    return f"{file} holds session {session} ({size / 1_000:,.0f} kB)."


async def bring(url: str, file: Path) -> str:
    """Send `file` to the server; what to tell the user."""
    async with Client(url) as client:
        created = await client.bring(file)
    return f"Session {created['session_id']}: rhapsode replay {created['session_id']}"
