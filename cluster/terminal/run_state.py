"""Run state that `up` leaves for other terminals: its processes, home and address."""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from cluster.terminal.cli_errors import CliError, UsageError
from pipeline.core.private_files import write_file
from schemas.settings import AppSettings

KEY: Final = "RHAPSODE_KEY"
"""No setting: what the commands of this program show to a server that asks for keys."""
_START_SLACK_S: Final = 0.05
_ATTEMPTS: Final = 5
_RETRY_S: Final = 0.02


class Process(BaseModel):
    """A process that cannot be mistaken for a later one with the same number."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float

    @classmethod
    def of(cls, process: psutil.Process) -> "Process":
        return cls(pid=process.pid, started=process.create_time())

    def find(self) -> psutil.Process | None:
        """The process if it still lives."""
        try:
            process = psutil.Process(self.pid)
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < _START_SLACK_S else None
        except psutil.Error:
            return None


class RunState(BaseModel):
    """One `rhapsode up`. Extra fields of another version are ignored."""

    model_config = ConfigDict(frozen=True)

    launcher: Process
    url: str
    application: str
    ray_folder: str
    ready: bool = False
    open: bool = False
    """It asked nobody who they are when it started."""
    options: Mapping[str, str | int | bool] = {}
    """Options of its command line."""
    config: str = ""
    """The configuration file that it was started with."""
    log: str = ""
    """Address of its log server, without a password; empty: the embedded one."""
    log_started: bool = False
    """The embedded log server is ours to stop."""
    processes: tuple[Process, ...] = ()
    """Processes that were started, so that each can be found after a crash."""
    replicas: Mapping[str, str] = {}
    """Last status of each deployment from Serve."""
    reloads: int = 0
    """How often `rhapsode reload` has been obeyed ..."""
    reload_trouble: str = ""
    """... and what was wrong the last time; empty: nothing."""


@dataclass(frozen=True, slots=True)
class StartParams:
    """Options of the command line."""

    config: Path | None = None
    host: str | None = None
    port: int | None = None
    scripted: bool = False
    pretend_gpus: int | None = None
    """Cards that Ray is told of although they are not there."""

    @property
    def options(self) -> dict[str, str | int | bool]:
        """Those that were given, as on the command line."""
        config = None if self.config is None else str(self.config.absolute())
        given = {"config": config, "host": self.host, "port": self.port, "scripted": self.scripted}
        given |= {"pretend-gpus": self.pretend_gpus}
        return {name: value for name, value in given.items() if value}


def home() -> Path:
    """Folder of the run state: RHAPSODE_HOME, or the settings' default."""
    given = os.environ.get("RHAPSODE_HOME")
    default: Path = AppSettings.model_fields["home"].default
    return (Path(given) if given else default).expanduser().absolute()


def read(place: Path) -> RunState | None:
    """Reads the run state of the last `up`, whether it still runs or not."""
    try:
        return RunState.model_validate_json((place / "run.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def write(place: Path, state: RunState) -> None:
    write_file(place / "run.json", state.model_dump_json(indent=1))


@contextmanager
def environment_of(run: RunState) -> Iterator[None]:
    """Within the block our variables are those that `run` was started with, its passwords too.

    They are read from its process, which only its own user can do; nothing of them is on a disk. Where that
    cannot be done, nothing changes.
    """
    launcher = run.launcher.find()
    try:
        given = launcher.environ() if launcher is not None and launcher.pid != os.getpid() else None
    except psutil.Error:
        given = None
    before = dict(os.environ)
    if given is not None:
        for name in filter(_is_setting, before):
            del os.environ[name]
        os.environ.update((name, value) for name, value in given.items() if _is_setting(name))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_setting(name: str) -> bool:
    """Variables that the settings are made of, but for those that say which home is meant and who asks."""
    return name == "REDIS_URL" or (name.startswith("RHAPSODE_") and name not in (KEY, "RHAPSODE_HOME"))


def clear(place: Path) -> None:
    (place / "run.json").unlink(missing_ok=True)


@contextmanager
def only_one(place: Path) -> Iterator[bool]:
    """Whether we are the one `up` of this home. The system frees the lock when its holder dies."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        advice = "Set RHAPSODE_HOME to a folder that you may write to."
        raise CliError(f"{place} cannot be used: {error.strerror}.", advice) from error
    try:
        yield _locked(descriptor, fcntl.LOCK_EX, _ATTEMPTS)
    finally:
        os.close(descriptor)


def is_running(place: Path) -> bool:
    """Whether an `up` of this home lives, ready or not."""
    try:
        descriptor = os.open(place / "up.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH, 1)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int, attempts: int) -> bool:
    """Several attempts, because somebody who only asks holds the lock for a moment, too."""
    for attempt in range(attempts):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_RETRY_S if attempt + 1 < attempts else 0)
        else:
            return True
    return False


def running(place: Path) -> RunState | None:
    """The state of a living, ready `up`."""
    state = read(place)
    return state if state is not None and state.ready and is_running(place) else None


def refuse_other_wishes(wish: StartParams, run: RunState) -> None:
    """Raises CliError where `run` is not as `wish` asks: it cannot be changed by starting it again."""
    real: dict[str, str | int | bool] = {"port": urlsplit(run.url).port or 0, "config": run.config}
    real |= run.options
    for name, value in wish.options.items():
        if real.get(name) != value:
            asked = f"--{name}" if value is True else f"--{name} {value}"
            raise UsageError(
                f"Rhapsode runs already at {run.url}, and not with {asked}.",
                "End it first (rhapsode down), or start another one with a RHAPSODE_HOME of its own.",
            )


def credential() -> dict[str, str]:
    """The headers that show the server who asks: the API key in RHAPSODE_KEY, if there is one."""
    key = os.environ.get(KEY)
    if key and not key.isascii():
        raise UsageError(f"{KEY} is no key of ours.", "rhapsode keys create makes one.")
    return {"Authorization": f"Bearer {key}"} if key else {}


def is_encrypted(url: str) -> bool:
    """As `verify` of an HTTP client: reading the certificates costs every command 60 ms or more."""
    return not url.lower().startswith("http:")
