"""Processes that read what strangers sent: what they know of this one, and their end."""

import os
from asyncio.subprocess import Process
from contextlib import suppress
from typing import Final

import anyio

_ENVIRONMENT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE"),
)


def bare_environment() -> dict[str, str]:
    """Environment that Python needs to begin, without the settings and secrets of a replica."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


async def ended(child: Process) -> None:
    """After this there is no process any more, even if the caller is being cancelled."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        with anyio.CancelScope(shield=True):
            await child.wait()
