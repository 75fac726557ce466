"""Options that every command takes alike: --url, --key and --json, before the command or after it."""

import functools
import inspect
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Annotated, Any, Final

import typer

from cluster.cli.command_help import SAID, Json, Url, explained
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.run_state import KEY

Key = Annotated[
    str | None,
    typer.Option("--key", help="Your API key, if the server asks for one; better in RHAPSODE_KEY."),
]
HERE_ONLY: Final = frozenset(
    {
        *("up", "down", "reload", "deploy", "doctor", "check-config", "logs", "call-me"),
        *("keys create", "keys list", "keys revoke"),
        *("models list", "models pull", "models use", "models remove"),
    }
)
"""Commands about this machine and its files: an address or a key of a server would say nothing to them."""
_ENDLESS: Final[Mapping[str, tuple[str, bool, str]]] = {
    "up": ("detach", False, "Without --detach it does not return, so there is no JSON."),
    "mcp": ("", True, "It speaks MCP, so there is no JSON of ours."),
    "wyoming": ("", True, "It does not return, so there is no JSON."),
    "logs": ("follow", True, "With --follow it does not return, so there is no JSON."),
}
"""Commands that do not return where this parameter has this value, or in any case."""
_COMMON: Final = (("url", Url), ("key", Key), ("as_json", Json))


def begin(url: str | None, key: str | None, as_json: bool) -> None:
    """Keep the options that stood before the command."""
    SAID.url, SAID.key, SAID.as_json = url, key, as_json


def complete(app: typer.Typer, *path: str) -> None:
    """Give every command of the program what it lacks of the options, and an end without a traceback."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        command.callback = _completed(" ".join((*path, name)), command.callback)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        complete(group.typer_instance, *path, str(group.name))


def _completed(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(run, eval_str=True)
    own = signature.parameters

    @functools.wraps(run)
    def completed(**given: Any) -> Any:
        with explained():
            _take(name, given)
            common = {"url": SAID.url, "key": SAID.key, "as_json": SAID.as_json}
            given |= {option: value for option, value in common.items() if option in own}
            if SAID.as_json and "as_json" not in own:
                return _as_json(name, functools.partial(run, **given), given)
            return run(**given)

    by_name = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(option, by_name, default=False if option == "as_json" else None, annotation=kind)
        for option, kind in _COMMON
        if option not in own
    ]
    own_options = [one.replace(kind=by_name) for one in own.values()]
    completed.__signature__ = signature.replace(parameters=[*own_options, *added])  # type: ignore[attr-defined]
    completed.__annotations__ = {one.name: one.annotation for one in (*own_options, *added)}
    return completed


def _take(name: str, given: dict[str, Any]) -> None:
    """Options after the command win over those before it. Raises CliError for a wish without effect."""
    SAID.url = given.pop("url", None) or SAID.url
    SAID.key = given.pop("key", None) or SAID.key
    SAID.as_json = given.pop("as_json", False) or SAID.as_json
    for option, value in (("--url", SAID.url), ("--key", SAID.key)):
        if value is not None and name in HERE_ONLY:
            raise UsageError(f"rhapsode {name} is about this machine.", f"Leave {option} out.")
    if given.get("start") and SAID.url is not None:
        raise UsageError("--start is about this machine, --url about another.", "Leave one out.")
    if SAID.key is not None:
        os.environ[KEY] = SAID.key


def _as_json(name: str, run: Callable[[], Any], given: Mapping[str, Any]) -> Any:
    """Run a command that knows only words, and tell its lines as {"output": [...]}."""
    parameter, value, why = _ENDLESS.get(name, ("", None, ""))
    if why and (not parameter or given[parameter] == value):
        raise UsageError("--json is for what returns.", why)
    out, fine = io.StringIO(), False
    try:
        with redirect_stdout(out):
            result = run()
        fine = True
    finally:
        if fine or out.getvalue():
            sys.stdout.write(json.dumps({"output": out.getvalue().splitlines()}, indent=1) + "\n")
    return result
