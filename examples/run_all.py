"""`make examples`: starts a server with scripted engines, runs every example against it, and stops it.

With RHAPSODE_URL set, the examples run against that server instead. Arguments name some of the examples.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PHONE_BOT = {
    "RHAPSODE_GATEWAY__TELEPHONE__INSECURE": "true",
    "RHAPSODE_GATEWAY__TELEPHONE__KEY_PROMPTS": "true",
    "RHAPSODE_GATEWAY__TELEPHONE__GREETING": "Good evening. Please choose a story by its number.",
}


def main(names: list[str]) -> int:
    """Returns the number of examples that failed."""
    here = Path(__file__).parent
    files = sorted(file for file in here.glob("*.py") if file.name != "run_all.py")
    if shutil.which("node"):
        files += sorted(here.glob("*.mjs"))
    else:
        print("node is not there: the examples in JavaScript are left out.")
    chosen = [file for file in files if not names or {file.stem, file.name} & set(names)]
    with tempfile.TemporaryDirectory() as folder, server(folder) as environment:
        failed = [file.name for file in chosen if not run(file, environment, folder)]
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed", *failed, sep="\n  ")
    return len(failed)


@contextmanager
def server(folder: str) -> Iterator[dict[str, str]]:
    """Variables that lead the examples to a server."""
    if "RHAPSODE_URL" in os.environ:
        yield dict(os.environ)
        return
    environment = {**os.environ, **PHONE_BOT, "RHAPSODE_HOME": f"{folder}/home"}

    def rhapsode(*words: str) -> str:
        command = [sys.executable, "-m", "cluster.cli.main", *words]
        return subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    print(rhapsode("up", "--detach", "--scripted"))
    try:
        yield {**environment, "RHAPSODE_URL": json.loads(rhapsode("status", "--json"))["url"]}
    finally:
        rhapsode("down")


def node_flags() -> list[str]:
    """Node has a WebSocket from 22 on, and before behind a flag."""
    version = subprocess.run(["node", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [] if int(version.lstrip("v").partition(".")[0]) >= 22 else ["--experimental-websocket"]


def run(file: Path, environment: dict[str, str], folder: str) -> bool:
    """Runs one example in a folder of its own files."""
    print(f"--- {file.name}", flush=True)
    command = [sys.executable, file] if file.suffix == ".py" else ["node", *node_flags(), file]
    done = subprocess.run(command, env=environment, cwd=folder, timeout=180, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
