"""`make dashboard`: callers talk to a running system, Prometheus watches, and the dashboard is drawn."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from loadtests.client import marks
from loadtests.client.api_connection import ApiConnection
from loadtests.client.caller_record import CallerRecord
from loadtests.client.session_connection import SessionConnection, Traffic
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.report.command_line import command_parser
from loadtests.report.result_store import ROOT
from loadtests.runner.dashboard_picture import drawing, shoot
from loadtests.servers.prometheus_server import prometheus
from loadtests.servers.rhapsode_process import Scripts, rhapsode

_QUESTIONS: Final = (
    "Tell me about the sea.",
    "Who built the first lighthouse?",
    "Why is the sky blue?",
    "What do foxes eat?",
)
_PATIENCE_S: Final = 60.0


async def _visit(caller: VirtualCaller) -> None:
    """Ask a few questions; listen as the page does, tell what was heard, and think before the next one."""
    session = await caller.open({})
    async with caller.line(session, audio="none") as line:
        for _ in range(caller.dice.randint(2, 5)):
            number = await line.begin(prompt=caller.dice.choice(_QUESTIONS))
            await _heard(line, number)
            await line.read_for(caller.dice.uniform(1, 6))


async def _heard(line: SessionConnection, number: int) -> None:
    """Tell that the first sound was heard as soon as it is, and at the end how much was."""
    answer = line.notes.turns[number].answer
    await line.until(lambda: bool(answer.ttfa_ms) or line.notes.over(number))
    if answer.ttfa_ms:
        await line.send(type="playback.ack", turn=number, heard_ms=1)
    await line.until(lambda: line.notes.over(number))
    await line.hear_out(number)


async def callers(url: str, count: int, seconds: float) -> None:
    """So many callers, who come one after the other, for so long."""

    async def live(number: int) -> None:
        dice = random.Random(number)
        while True:
            record = CallerRecord(number, "dashboard", 0.0)
            told = (marks.mark(1, number), dice, _PATIENCE_S, time.monotonic())
            await _visit(VirtualCaller(connection, Traffic(), record, *told))

    async with (
        ApiConnection(url) as connection,
        asyncio.timeout(None) as limit,
        asyncio.TaskGroup() as living,
    ):
        limit.reschedule(asyncio.get_running_loop().time() + seconds)
        for number in range(count):
            living.create_task(live(number))
            await asyncio.sleep(seconds / count / 2)


_PICTURE = ROOT / "docs" / "dashboard.png"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rhapsode-dashboard-") as made:
        folder = Path(made)
        if arguments.url:
            _watch(arguments.url, folder, arguments)
            return
        scripts: Scripts | None = {} if arguments.scripted else None
        with rhapsode(folder / "home", cache=arguments.cache, scripts=scripts) as url:
            _watch(url, folder, arguments)


def _watch(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    begun = time.time()
    with prometheus(folder / "prometheus", httpx.URL(url).netloc.decode()) as asked:
        with suppress(TimeoutError):
            asyncio.run(callers(url, arguments.people, arguments.seconds))
        drawn = drawing(asked, since_s=time.time() - begun, span="30s", step_s=2)
        shoot(drawn, folder, arguments.picture)
        wrong = {name for name, health in asked.rules().items() if health == "err"}
        firing = asked.firing()
    sys.stdout.write(f"{arguments.picture}; alerts firing: {', '.join(sorted(firing)) or 'none'}; ")
    sys.stdout.write(f"rules that cannot be evaluated: {', '.join(sorted(wrong)) or 'none'}\n")


def _arguments() -> argparse.Namespace:
    parser = command_parser("make dashboard ARGS=", __doc__, "--url", "--cache")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--scripted", action="store_true", help="scripted engines instead of models")
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    return parser.parse_args()
