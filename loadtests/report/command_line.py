"""The command lines of the measurements: argument types, and the options that several commands share."""

import argparse
import os
import re
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

_T = TypeVar("_T")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600}
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|min|h)")
_PER: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600}


def seconds(text: str) -> float:
    """Of a length such as "30m", "1.5h", "500ms" or "90"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no length: a number and ms, s, m or h, such as 30m")
    return float(match[1]) * _UNITS[match[2] or "s"]


def rate(text: str) -> float:
    """Callers per second, of "2/s", "30/m" or a number."""
    found = _RATE.fullmatch(text.strip())
    try:
        per_s = number(text) if found is None else number(found[1]) / _PER[found[2]]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: such as 2/s, 30/m or 500/h") from None
    return per_s


def checked(text: str, make: Callable[[str], _T], holds: Callable[[_T], bool], words: str) -> _T:
    """Raises ArgumentTypeError with these words where nothing can be made of a text, or it does not hold."""
    with suppress(ValueError, httpx.InvalidURL):
        if holds(found := make(text)):
            return found
    raise argparse.ArgumentTypeError(f"{text!r} {words}")


def number(text: str) -> float:
    """From 0 on, and finite."""
    return checked(text, float, lambda found: 0 <= found < inf, "is no number from 0 on")


def address(text: str) -> str:
    words = "is no address: such as http://127.0.0.1:8000"
    checked(text, httpx.URL, lambda found: found.scheme in ("http", "https") and bool(found.host), words)
    return text.rstrip("/")


def count(text: str) -> int:
    """From 1 on."""
    return checked(text, int, lambda found: found >= 1, "is no number from 1 on")


def processes(text: str) -> int:
    """A number, or one for each core."""
    return os.cpu_count() or 1 if text == "auto" else count(text)


def numbers(text: str) -> tuple[int, ...]:
    """Of sessions, as an argument: "1,4,16"."""

    def made(given: str) -> tuple[int, ...]:
        return tuple(map(int, given.split(",")))

    return checked(text, made, lambda found: min(found) >= 1, "are no numbers of sessions: write 1,4,16")


def as_error(make: Callable[[str], Any]) -> Callable[[str], Any]:
    def made(text: str) -> Any:
        try:
            return make(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return made


_PROCESSES: Final = "of this client, each with its part of the callers; auto: one per core; default 1"
_SHARED: Final[dict[str, dict[str, Any]]] = {
    "--url": {"type": address, "help": "a system that runs already; else one is started"},
    "--key": {"help": "an API key or a token, where the system asks for one (or RHAPSODE_KEY)"},
    "--cache": {"type": Path, "default": Path("~/.cache/rhapsode").expanduser(), "help": "prepared weights"},
    "--json": {"type": Path, "metavar": "FILE", "help": "write every figure into a file"},
    "--keep": {"action": "store_true", "help": "write the tables into docs/measurements.md"},
    "--quiet": {"action": "store_true", "help": "no line of progress, and the report is not opened"},
    "--processes": {"type": processes, "default": 1, "metavar": "N", "help": _PROCESSES},
    "--turns": {
        "type": count,
        "default": 3,
        "metavar": "N",
        "help": "questions of somebody who chats; default 3",
    },
    "--seed": {"type": int, "default": 1, "help": "the same seed brings the same callers; default 1"},
}
OF_A_LOAD: Final = ("--url", "--key", "--processes", "--turns", "--seed", "--quiet")
"""Shared options of the commands that let callers come."""


def command_parser(
    prog: str, description: str | None, *shared: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    """`shared`: options whose meaning is the same in every command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=prog, description=description, epilog=epilog, formatter_class=raw)
    for option in shared:
        parser.add_argument(option, **_SHARED[option])
    return parser


def refuse_key(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    """End the program where a key was given for a system of its own."""
    if found.key and not found.url:
        parser.error("--key works only with --url: a system of its own asks nobody who they are")
