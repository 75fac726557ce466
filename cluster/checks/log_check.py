"""Examines the log server of the settings in seconds, before anything is started."""

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import redis
from pydantic import SecretStr
from redis.asyncio.connection import SSLConnection, parse_url
from redis.backoff import NoBackoff
from redis.retry import Retry

from cluster.terminal.cli_errors import CliError
from pipeline.eventlog.redis.embedded import embedded_server as embedded
from pipeline.eventlog.redis.server import Durability
from schemas.settings import LogSettings

PATIENCE_S: Final = 3.0
"""For one server: to connect, and for each reply."""
_OLDEST: Final = (7, 0)
_MIB: Final = 1024 * 1024
_OPTIONS: Final[Mapping[str, Any]] = {
    "protocol": 2,
    "socket_timeout": PATIENCE_S,
    "socket_connect_timeout": PATIENCE_S,
    "retry": Retry(NoBackoff(), 0),
}
_WHERE: Final = "Correct REDIS_URL or log.url; without either rhapsode up brings a server of its own."

_CAUSES: Final[Sequence[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str]]] = (
    (
        ssl.SSLCertVerificationError,
        "has a certificate that is not accepted: {}",
        "An authority of your own: add ?ssl_ca_certs=/path/to/ca.pem to the URL, and use a name that the "
        "certificate has (docs/redis.md, TLS).",
    ),
    (
        ssl.SSLError,
        "does not get through the TLS handshake: {}",
        "A server without TLS: redis:// instead of rediss://. One that wants a certificate of yours: add "
        "ssl_certfile and ssl_keyfile (docs/redis.md, TLS).",
    ),
    (
        redis.AuthenticationError,
        "refuses the password or the user: {}",
        "Give them in the URL: redis://USER:PASSWORD@HOST:PORT, or redis://:PASSWORD@HOST:PORT.",
    ),
    (socket.gaierror, "is not known by that name: {}", _WHERE),
    (ConnectionRefusedError, "refuses connections: nothing listens there", f"Start that server. {_WHERE}"),
    (
        FileNotFoundError,
        "has a socket, or a file of certificates, that is not there",
        f"Start that server, or correct ssl_ca_certs, ssl_certfile and ssl_keyfile in its URL. {_WHERE}",
    ),
    (
        (TimeoutError, redis.TimeoutError),
        f"does not answer within {PATIENCE_S:g} s",
        "Is it Redis, does it have TLS where the URL says rediss:// and none where it says redis://, and "
        f"does a firewall let you through? {_WHERE}",
    ),
    (redis.BusyLoadingError, "is still loading its data", "Try again when it has done that."),
    (redis.exceptions.NoPermissionError, "lets this user do too little: {}", "See docs/redis.md, ACLs."),
)
"""Kinds of errors, what each means, and what to do; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class LogServer:
    """A log server that answers and is of the right kind."""

    address: str
    """Without user and password."""
    about: str
    """Kind and version."""
    memory_bytes: int
    limit_bytes: int
    """0: none."""
    uptime_s: int
    warnings: tuple[str, ...]
    """Settings of the server that lose events, each with what to do."""

    def as_json(self) -> dict[str, Any]:
        return {
            "server": self.about,
            "memory_mb": round(self.memory_bytes / _MIB, 1),
            "limit_mb": round(self.limit_bytes / _MIB) if self.limit_bytes else None,
            "uptime_s": self.uptime_s,
            "address": self.address,
            "warnings": list(self.warnings),
        }


def address_of(settings: LogSettings) -> str:
    """Address of the log of the settings, without user and password; empty: the embedded server."""
    if settings.mode == "sentinel":
        return f"{settings.master} of the sentinels {', '.join(settings.sentinels)}"
    url = settings.url.get_secret_value() if settings.url else ""
    if settings.mode == "cluster":
        return ", ".join(_nodes(settings))
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}" if url else ""


def embedded_server(home: Path) -> LogSettings:
    """Settings with which the embedded server of `home` is examined like any other."""
    return LogSettings(url=SecretStr(f"unix://{quote(str(embedded.socket_path(home)))}"))


def examine(settings: LogSettings) -> LogServer:
    """The server, or all servers as one. Raises CliError that says what is wrong and what to do about it."""
    match settings.mode:
        case "cluster":
            return _cluster(settings)
        case "sentinel":
            return _about([_master(settings)], address_of(settings))
        case _:
            return _about([_single(settings)], address_of(settings))


def _single(settings: LogSettings) -> dict[str, Any]:
    assert settings.url is not None
    url, where = settings.url.get_secret_value(), address_of(settings)
    with _explained(where):
        server = redis.Redis.from_url(url, **_OPTIONS)
    info = _info(server, where)
    _refuse_kind(info, where, "standalone")
    return info


def _cluster(settings: LogSettings) -> LogServer:
    """Asks the first node that answers for the others, and each primary for its settings."""
    nodes = _nodes(settings)
    for number, node in enumerate(nodes):
        try:
            info = _info(_client(settings, node), node)
        except CliError:
            if number + 1 == len(nodes):
                raise
        else:
            _refuse_kind(info, node, "cluster")
            with _explained(node), _client(settings, node) as server:
                slots: Any = server.execute_command("CLUSTER SLOTS")
            asked = node.rpartition(":")[0]  # a node that does not know its own name means the one asked
            primaries = list(dict.fromkeys(f"{_text(one[2][0] or asked)}:{one[2][1]}" for one in slots))
            if not primaries:
                raise CliError(f"The Redis Cluster of {node} has no slots.", "Join its nodes: docs/redis.md.")
            infos = [_info(_client(settings, primary), primary) for primary in primaries]
            return _about(infos, f"{len(primaries)} primaries, first {node}")
    raise AssertionError("the settings want an address for a cluster")


def _master(settings: LogSettings) -> dict[str, Any]:
    options = {name: value for name, value in _options(settings).items() if name.startswith("ssl")}
    if settings.sentinel_password is not None:
        options["password"] = settings.sentinel_password.get_secret_value()
    found: Any = None
    for number, address in enumerate(settings.sentinels):
        host, _, port = address.rpartition(":")
        try:
            with (
                _explained(f"sentinel {address}"),
                redis.Redis(host=host, port=int(port), **_OPTIONS, **options) as sentinel,
            ):
                found = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master)
            if found:
                break
        except CliError:
            if number + 1 == len(settings.sentinels):
                raise
    if not found:
        raise CliError(f"The sentinels know no master {settings.master!r}.", "Correct log.master.")
    where = f"{_text(found[0])}:{_text(found[1])}"
    info = _info(_client(settings, where), where)
    _refuse_kind(info, where, "standalone")
    return info


def _nodes(settings: LogSettings) -> list[str]:
    given = []
    if settings.url is not None:
        said = parse_url(settings.url.get_secret_value())
        given = [f"{said.get('host', 'localhost')}:{said.get('port', 6379)}"]
    return [*given, *settings.nodes]


def _options(settings: LogSettings) -> dict[str, Any]:
    """Returns the URL's options without its address."""
    if settings.url is None:
        return {}
    said: dict[str, Any] = dict(parse_url(settings.url.get_secret_value()))
    tls = {"ssl": True} if said.pop("connection_class", None) is SSLConnection else {}
    return tls | {name: value for name, value in said.items() if name not in ("host", "port", "path", "db")}


def _client(settings: LogSettings, address: str) -> redis.Redis:
    host, _, port = address.rpartition(":")
    return redis.Redis(host=host, port=int(port), **{**_OPTIONS, **_options(settings)})


def _info(server: redis.Redis, where: str) -> dict[str, Any]:
    """INFO of the server; little where it may not be asked."""
    with _explained(where), server:
        server.ping()
        try:
            said: Any = server.info()
        except redis.exceptions.NoPermissionError:
            said = {}
        return dict(said)


def _refuse_kind(info: Mapping[str, Any], where: str, wanted: str) -> None:
    """Raises CliError where the server is of another kind, too old, or takes no writes."""
    kind = info.get("redis_mode", wanted)
    if kind == "sentinel":
        raise CliError(
            f"{where} is a sentinel, no log server.", "Set log.mode to sentinel, and log.sentinels."
        )
    if kind != wanted:
        meant = "cluster" if kind == "cluster" else "single"
        what = "a node of a Redis Cluster" if kind == "cluster" else "a single server, no Redis Cluster"
        raise CliError(f"{where} is {what}.", f"Set log.mode to {meant}.")
    version = str(info.get("valkey_version") or info.get("redis_version") or "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST:
        raise CliError(f"{where} is version {version}.", "The log needs Redis 7.0, Valkey 7.2, or newer.")
    if info.get("role") == "slave":
        raise CliError(
            f"{where} is a replica, which takes no events.", "Name its primary, or use the sentinels."
        )


def _about(infos: Sequence[Mapping[str, Any]], where: str) -> LogServer:
    first = infos[0]
    version = first.get("valkey_version") or first.get("redis_version") or "of unknown version"
    warnings = dict.fromkeys(text for info in infos for text in Durability.read(info).warnings)
    return LogServer(
        address=where,
        about=f"{first.get('server_name', 'redis')} {version}",
        memory_bytes=sum(int(info.get("used_memory", 0)) for info in infos),
        limit_bytes=sum(int(info.get("maxmemory", 0)) for info in infos),
        uptime_s=int(first.get("uptime_in_seconds", 0)),
        warnings=tuple(warnings),
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Raises CliError for whatever the client raises, with advice that fits the cause."""
    try:
        yield
    except (redis.RedisError, OSError, ValueError) as error:
        message, advice = _cause(error)
        raise CliError(f"The log server {where} {message}.", advice) from error


def _cause(error: BaseException) -> tuple[str, str]:
    """Fault of the log server, with advice."""
    for one in _chain(error):
        for kinds, message, advice in _CAUSES:
            if isinstance(one, kinds):
                texts = (getattr(one, name, "") for name in ("verify_message", "reason", "strerror"))
                return message.format(next(filter(None, texts), one)), advice
    return _not_redis(error)


def _not_redis(error: BaseException) -> tuple[str, str]:
    """A connection that was made, and did not go on as one to Redis does."""
    if isinstance(error, redis.ResponseError):
        return f"answers: {error}", "Is it the server that you mean? It must be Redis or Valkey."
    if isinstance(error, ValueError):
        # The text of the error could be part of a password.
        return "has an address that cannot be read", f"Write signs of a password as %XX. {_WHERE}"
    return (
        f"does not speak Redis: {error}",
        "Is it another kind of server, as of HTTP? If it is Redis with TLS, write rediss://.",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """From what was raised to what began it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
