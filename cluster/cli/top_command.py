"""`rhapsode top`: the system as it is just now, in a terminal, from one request a second."""

import select
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from cluster.cli.command_help import Json, Url, running_at, show
from cluster.terminal.cli_errors import CliError
from cluster.terminal.requests import metrics_page

_EVERY_S: Final = 1.0
_QUITS: Final = ("q", "Q", "\x1b", "\x03")

Over = Annotated[
    float, typer.Option("--over", min=0, max=3_600, help="With --once: look twice, so many seconds apart.")
]


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once and return.")] = False,
    over: Over = 0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Watch sessions, latencies, replicas, the log server and the workers; q quits.

    Latencies are those of the last minute. Where the server asks for keys, an administrator's is needed.

    Example: rhapsode top --once --over 10 --json
    """
    from cluster.cli.top_figures import figures
    from cluster.cli.top_view import Screen
    from cluster.terminal.metric_readings import Readings

    address = running_at(url)
    readings = Readings(max(over, _EVERY_S) if once else 60.0)
    readings.add(monotonic(), metrics_page(address))
    if once or as_json or not sys.stdout.isatty():
        if over:
            select.select([], [], [], over)
            readings.add(monotonic(), metrics_page(address))
        found = figures(readings)
        if as_json:
            show(asdict(found), (), as_json=True)
        else:
            Console().print(Screen(found, address))
        return
    with (
        _keys() as pressed,
        Live(Screen(figures(readings), address), screen=True, auto_refresh=False) as live,
    ):
        while not pressed(_EVERY_S):
            failure = ""
            try:
                readings.add(monotonic(), metrics_page(address))
            except CliError as error:
                failure = str(error)
            live.update(Screen(figures(readings), address, failure), refresh=True)


@contextmanager
def _keys() -> Generator["_Pressed", None, None]:
    """Single keys, while the block lasts; without a keyboard there are none."""
    if not sys.stdin.isatty():
        yield _Pressed(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _Pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Pressed:
    """Waits for a key that quits."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, within_s: float) -> bool:
        """Whether one was pressed; other keys end the wait early."""
        if self._descriptor is None:
            select.select([], [], [], within_s)
            return False
        ready, _, _ = select.select([self._descriptor], [], [], within_s)
        return bool(ready) and sys.stdin.read(1) in _QUITS
