"""People who ask, listen as the page does, say what they heard, and think a little before they ask again."""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from loadtests.report.dashboard_picture import drawing, shoot
from loadtests.report.prometheus_server import prometheus
from loadtests.report.result_store import ROOT
from loadtests.runner.rhapsode_process import rhapsode

_QUESTIONS: Final = (
    "Tell me about the sea.",
    "Who built the first lighthouse?",
    "Why is the sky blue?",
    "What do foxes eat?",
)
_OVER: Final = frozenset({"turn.completed", "turn.stopped", "turn.failed"})


class DashboardCaller:
    """One session at a time, turn after turn."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._dice = random.Random(number)
        key = os.environ.get("RHAPSODE_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def live(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=60) as http:
            for _ in count():
                created = await http.post("/v1/sessions", json={})
                created.raise_for_status()
                session = created.json()["session_id"]
                socket_url = self._url.replace("http", "ws", 1)
                path = f"{socket_url}/v1/sessions/{session}/stream?from=head&audio=none"
                async with connect(path, additional_headers=self._headers, max_size=None) as socket:
                    for _ in range(self._dice.randint(2, 5)):
                        await self._turn(socket)
                        await asyncio.sleep(self._dice.uniform(1, 6))

    async def _turn(self, socket: ClientConnection) -> None:
        question = self._dice.choice(_QUESTIONS)
        await self._say(socket, type="turn.request", prompt=question, ref="ask")
        ear, turn = _Ear(), 0
        async for frame in socket:
            if not isinstance(frame, str):
                continue
            event = json.loads(frame)
            if event["type"] == "turn.requested":
                turn = event["seq"]
            elif event["type"] == "audio.chunk":
                begun = ear.begun
                ear.take(event["data"]["ms"])
                if not begun:
                    await self._say(socket, type="playback.ack", turn=turn, heard_ms=1)
            elif event["type"] in _OVER and event["turn"] == turn:
                break
        await asyncio.sleep(ear.remaining_s)
        if ear.begun:
            heard = {"heard_ms": round(ear.have_ms), "underruns": ear.underruns, "ended": True}
            await self._say(socket, type="playback.ack", turn=turn, **heard)

    async def _say(self, socket: ClientConnection, **message: Any) -> None:
        await socket.send(json.dumps(message))


class _Ear:
    """A loudspeaker in real time that runs dry when the next piece is late."""

    def __init__(self) -> None:
        self.have_ms = 0.0
        self.underruns = 0
        self._ends_at = 0.0

    @property
    def begun(self) -> bool:
        return self.have_ms > 0

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._ends_at - asyncio.get_running_loop().time())

    def take(self, ms: int) -> None:
        now = asyncio.get_running_loop().time()
        self.underruns += self.begun and self._ends_at < now
        self._ends_at = max(now, self._ends_at) + ms / 1_000
        self.have_ms += ms


async def callers(url: str, people: int, seconds: float) -> None:
    """So many people, come one after the other, for so long."""
    async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as living:
        limit.reschedule(asyncio.get_running_loop().time() + seconds)
        for number in range(people):
            living.create_task(DashboardCaller(url, number).live())
            await asyncio.sleep(seconds / people / 2)


_PICTURE = ROOT / "docs" / "dashboard.png"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rhapsode-dashboard-") as made:
        folder = Path(made)
        if arguments.url:
            _watch(arguments.url.rstrip("/"), folder, arguments)
            return
        environment = {"RHAPSODE_CACHE": str(arguments.cache)}
        with rhapsode(folder / "home", environment=environment, scripted=arguments.scripted) as url:
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
    parser = argparse.ArgumentParser(prog="make dashboard ARGS=", description=__doc__)
    parser.add_argument("--url", help="a system that runs already; one is started otherwise")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--scripted", action="store_true", help="scripted engines instead of models")
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/rhapsode").expanduser())
    return parser.parse_args()
