"""`make dashboard`: a crowd talks to a running system, Prometheus watches, and the dashboard is drawn."""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx

from loadtests.dashboard.people import crowd
from loadtests.dashboard.picture import drawing, shoot
from loadtests.dashboard.prometheus import prometheus
from loadtests.target import rhapsode

_PICTURE = Path(__file__).resolve().parents[2] / "docs" / "dashboard.png"


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
            asyncio.run(crowd(url, arguments.people, arguments.seconds))
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


if __name__ == "__main__":
    main()
