"""A Wyoming server on a named address; every connection is a client of a running Rhapsode.

The protocol and its events are those of the package `wyoming` (https://github.com/OHF-Voice/wyoming).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from wyoming.event import Event, async_read_event

from cluster.client.wyoming.wyoming_connection import WyomingConnection
from cluster.terminal.cli_errors import CliError, UsageError
from rhapsode import AsyncRhapsode

log = logging.getLogger(__name__)

CONNECTIONS: Final = 32
"""Connections at a time; one more is closed at once."""
IDLE_S: Final = 300.0
"""Seconds after which a connection that sends nothing is closed."""
_EVENT_BYTES: Final = 1024 * 1024
"""Data, or sound, of one event at the most."""
_CONVERSATIONS: Final = 256
"""Conversations that are remembered, the latest ones; an older one begins anew."""

Network = IPv4Network | IPv6Network


class Conversations:
    """Sessions by the ids that Home Assistant gives its conversations."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def find(self, conversation: str) -> str | None:
        if conversation in self._sessions:
            self._sessions.move_to_end(conversation)
        return self._sessions.get(conversation)

    def note(self, conversation: str, session: str) -> None:
        self._sessions[conversation] = session
        if len(self._sessions) > _CONVERSATIONS:
            self._sessions.popitem(last=False)


class BoundedReader(asyncio.StreamReader):
    """Reads events of a bounded size: `async_read_event` ends the connection at a ValueError."""

    async def readexactly(self, n: int) -> bytes:
        if n > _EVENT_BYTES:
            raise ValueError(f"an event of {n} bytes is too large; at most {_EVENT_BYTES} are taken")
        return await super().readexactly(n)


@dataclass
class WyomingServer:
    """Serves `allowed` networks, and always loopback. Sessions belong to the principal of RHAPSODE_KEY."""

    url: str
    allowed: Sequence[Network] = ()
    conversations: Conversations = field(default_factory=Conversations)
    _open: int = 0

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listens from now on. Raises CliError for an address that is taken, or open to others unasked."""
        if not _is_loopback(host) and not self.allowed:
            raise UsageError(
                f"{host} is reached from other machines, and Wyoming has no passwords.",
                "Name the networks that may use it, as --allow 192.168.1.0/24.",
            )
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(BoundedReader(loop=loop), self._take, loop=loop)

        try:
            return await loop.create_server(protocol, host, port)
        except OSError as error:
            raise CliError(f"{host}:{port} cannot be listened on: {error.strerror}.") from error

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0]).partition("%")[0]
        if not self.admits(peer) or self._open >= CONNECTIONS:
            log.warning("a Wyoming connection from %s was closed", peer)
            writer.close()
            return
        self._open += 1
        try:
            async with (
                AsyncRhapsode(self.url) as client,
                WyomingConnection(client, self.conversations, writer) as connection,
            ):
                while (event := await self._next(reader)) is not None:
                    await connection.handle(event)
        except (ConnectionError, EOFError, asyncio.IncompleteReadError):
            pass  # the other end is gone
        except TimeoutError:
            log.warning("a Wyoming connection from %s takes no events: it was closed", peer)
            writer.transport.abort()  # close would wait until it does
        finally:
            self._open -= 1
            writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> Event | None:
        try:
            async with asyncio.timeout(IDLE_S):
                return await async_read_event(reader)
        except TimeoutError:
            return None
        except (KeyError, TypeError, AttributeError):  # JSON that is no event
            return None

    def admits(self, peer: str) -> bool:
        """Whether an address is loopback or in an allowed network."""
        address = ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        return address.is_loopback or any(address in network for network in self.allowed)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def networks(named: Sequence[str]) -> tuple[Network, ...]:
    """Networks as they are written, "192.168.1.0/24". Raises CliError."""
    try:
        return tuple(ip_network(name) for name in named)
    except ValueError as error:
        raise UsageError(f"--allow is no network: {error}.", "As --allow 192.168.1.0/24.") from error


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of "HOST:PORT". Raises CliError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"{address} is no address.", "As --address 127.0.0.1:10500.")
    return host.strip("[]"), int(port)


async def run(server: WyomingServer, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves until it is cancelled; `say` is told where."""
    listening = await server.serve(host, port)
    at = listening.sockets[0].getsockname()
    say(f"Wyoming: tcp://{at[0]}:{at[1]} (in Home Assistant: Add integration, Wyoming Protocol)")
    await listening.serve_forever()
