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

HERE = Path(__file__).parent
ROOT = HERE.parent
LOCUST = ROOT / ".venv-load" / "bin" / "locust"
WEATHER = HERE / "mcp_weather"
SETTINGS = {
    "RHAPSODE_LANGUAGE_MODEL__SCRIPT": str(WEATHER / "script.json"),
    "RHAPSODE_TOOLS__MCP_SERVERS": json.dumps(
        {
            "weather": {
                "command": [sys.executable, str(WEATHER / "weather_server.py")],
                "tools": ["usual_weather"],
            }
        }
    ),
    "RHAPSODE_GATEWAY__TELEPHONE__INSECURE": "true",
    "RHAPSODE_GATEWAY__TELEPHONE__KEY_PROMPTS": "true",
    "RHAPSODE_GATEWAY__TELEPHONE__GREETING": "Good evening. Please choose a story by its number.",
}


def main(names: list[str]) -> int:
    """Returns the number of examples that failed."""
    files = sorted(file for file in HERE.glob("*.py") if file.name != "run_all.py")
    files += [WEATHER / "ask_about_weather.py", HERE / "custom_voice" / "test_rhapsode_tones.py"]
    if shutil.which("node"):
        files += sorted(HERE.glob("*.mjs"))
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
    environment = {**os.environ, **SETTINGS, "RHAPSODE_HOME": f"{folder}/home"}

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


def command_of(file: Path, url: str) -> list[str | Path]:
    """The command that runs an example."""
    if file.name == "locustfile.py":
        users = ("--headless", "--users", "5", "--run-time", "5s", "--stop-timeout", "30", "--only-summary")
        return [LOCUST, "-f", file, "--host", url.rstrip("/"), *users]
    if file.name.startswith("test_"):
        return [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            file.parent,
            file,
        ]
    return [sys.executable, file] if file.suffix == ".py" else ["node", *node_flags(), file]


def run(file: Path, environment: dict[str, str], folder: str) -> bool:
    """Runs one example in a folder of its own files."""
    print(f"--- {file.name}", flush=True)
    command = command_of(file, environment["RHAPSODE_URL"])
    done = subprocess.run(command, env=environment, cwd=folder, timeout=180, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
