"""Helpers that every command uses."""

import errno
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console

from cluster.terminal.cli_errors import FAILED, CliError, NotRunning, UsageError
from cluster.terminal.console import Steps, show_error

Url = Annotated[
    str | None,
    typer.Option("--url", help="A system elsewhere, as http://HOST:PORT; else the one of this home."),
]
Json = Annotated[bool, typer.Option("--json", help="For scripts: JSON on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
ConfigFile = Annotated[Path | None, typer.Option(help="The serve_config.yaml that the server runs with.")]
Start = Annotated[bool, typer.Option("--start", help="Start Rhapsode in the background if it is not up.")]
_INTERRUPTED: Final = 130


@dataclass(slots=True)
class CommandOutput:
    """The options that every command has, wherever they stood; see `cluster.cli.common_options`."""

    url: str | None = None
    key: str | None = None
    as_json: bool = False


SAID: Final = CommandOutput()
"""Set anew by each invocation of the program: a process runs one."""


@contextmanager
def explained() -> Iterator[None]:
    """Expected problems end with one sentence and an exit status, never with a traceback."""
    try:
        yield
    except CliError as error:
        show_error(Console(stderr=True), error)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except BrokenPipeError:  # head, less and the like have seen enough
        sys.stderr.close()
        raise typer.Exit(0) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f": {error.filename}" if error.filename else ""
        show_error(Console(stderr=True), CliError(f"The disk is full{where}.", "Make room, and try again."))
        raise typer.Exit(FAILED) from None


def running_at(url: str | None = None, *, start: bool = False) -> str:
    """The address of the system: `url`, or the one that runs here, started first if that is wanted."""
    from cluster.local import detach as background
    from cluster.terminal import run_state

    if (url := url or SAID.url) is not None:
        return _checked(url)
    if found := run_state.running(run_state.home()):
        return found.url
    if not start:
        raise NotRunning
    return background.start([], Steps(Console(stderr=True)))


def confirm(question: str, *, yes: bool) -> None:
    """Raises CliError unless it is wanted: what is destroyed is asked for, and a script says --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is nobody to ask here.", "Add --yes.")
    if not typer.confirm(question, err=True):
        raise CliError("Nothing was done.")


def _checked(url: str) -> str:
    """Raises CliError unless it is an address of HTTP."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise UsageError(f"--url {url!r} is no address.", "Write it as http://HOST:PORT.")
    return url


def say(text: str) -> None:
    """On standard output, as it is."""
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def show(found: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """On standard output: what was found as JSON, or in words."""
    say(json.dumps(found, indent=1) if as_json else "\n".join(lines))
