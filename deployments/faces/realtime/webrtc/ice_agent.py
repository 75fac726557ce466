"""ICE of a call: candidates on the configured addresses and ports only.

aioice binds every address of the machine to a port of the system's choice, and has no setting for either, so
the method of its `Connection` that gathers candidates is replaced on each connection (aioice 0.13).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

from schemas.errors import GatewayBusy
from schemas.settings.limit_settings import WebRtcSettings

_ALL: Final = "all"
_STUN_S: Final = 3.0
_CANDIDATES: Final = 32
"""Of an offer; further ones are passed over."""
_PUBLIC: Final = ip_network("2000::/3")
"""IPv6 outside of it, and what 6to4 makes of IPv4 within, leads to private addresses of IPv4 as well."""


def new_peer(settings: WebRtcSettings) -> RTCPeerConnection:
    """A peer connection that asks the configured servers, and no others."""
    servers = [RTCIceServer(settings.stun)] if settings.stun else []
    if settings.turn:
        credential = settings.turn_credential.get_secret_value()
        servers.append(RTCIceServer(settings.turn, settings.turn_username, credential))
    return RTCPeerConnection(RTCConfiguration(iceServers=servers))


def bind_to_configured(peer: RTCPeerConnection, settings: WebRtcSettings) -> None:
    """Of a peer connection that has its offer and gathers no candidates yet."""
    transports = {transceiver.receiver.transport.transport for transceiver in peer.getTransceivers()}
    if peer.sctp is not None:
        transports.add(peer.sctp.transport.transport)
    for transport in transports:
        connection = transport._connection
        gather = connection.get_component_candidates
        gathering = partial(_candidates, connection, gather, settings)
        connection.get_component_candidates = gathering  # type: ignore[method-assign]


async def _candidates(
    connection: Connection,
    gather: Callable[..., Awaitable[list[Candidate]]],
    settings: WebRtcSettings,
    component: int,
    addresses: list[str],
    timeout: int = 5,
) -> list[Candidate]:
    """As `Connection.get_component_candidates`. Raises GatewayBusy where no port is free."""
    hosts = addresses if _ALL in settings.hosts else settings.hosts
    protocols, found = [], []
    for host in hosts:
        protocols.append(await _bound(connection, settings, host))
        connection._protocols.append(protocols[-1])  # closed with the connection, whatever comes next
    for protocol in protocols:
        host, port = protocol.transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        found.append(protocol.local_candidate)
    if connection.stun_server is not None:
        asked = (server_reflexive_candidate(protocol, connection.stun_server) for protocol in protocols)
        answers = await asyncio.gather(
            *(asyncio.wait_for(one, _STUN_S) for one in asked), return_exceptions=True
        )
        found += [answer[0] for answer in answers if not isinstance(answer, BaseException)]
    # Without addresses aioice gathers the relayed candidates of the TURN server, if there is one.
    return [*found, *await gather(component=component, addresses=[], timeout=timeout)]


async def _bound(connection: Connection, settings: WebRtcSettings, host: str) -> StunProtocol:
    loop = asyncio.get_running_loop()
    for port in _ports(settings):
        try:
            _, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(connection), local_addr=(host, port)
            )
        except OSError:
            continue
        return protocol
    raise GatewayBusy(f"No UDP port is free on {host} for another call.")


def _ports(settings: WebRtcSettings) -> Iterable[int]:
    if settings.ports is None:
        return (0,)
    first, last = settings.ports
    return random.sample(range(first, last + 1), last + 1 - first)


def with_candidates_of_use(sdp: str, settings: WebRtcSettings) -> str:
    """An offer with those candidates to which this server sends checks: none, unless it asks a STUN or TURN
    server.

    A client that reaches one of `hosts` is found all the same: its checks arrive from it, and are answered
    there. So the offer's list never counts as complete, and an offer makes this server send nothing to them.
    Behind a STUN or TURN server the first packet may have to be this server's: then to a bounded number of
    public addresses, so that no offer makes this server, or its TURN server, knock at a private network.
    """
    lines, many = [], 0
    asks = bool(settings.stun or settings.turn)
    for line in sdp.splitlines():
        if line.startswith("a=end-of-candidates"):
            continue
        if line.startswith("a=candidate:"):
            if not (asks and many < _CANDIDATES and _may_be_asked(line)):
                continue
            many += 1
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _may_be_asked(candidate: str) -> bool:
    """Whether it has a public address of one machine: names, which browsers give to hide theirs, are none."""
    parts = candidate.split()
    try:
        address = ip_address(parts[4])
    except (IndexError, ValueError):
        return False
    if isinstance(address, IPv6Address) and (address not in _PUBLIC or address.sixtofour is not None):
        return False
    return address.is_global and not address.is_multicast


def announced(sdp: str, settings: WebRtcSettings) -> str:
    """An answer with the address that clients are to be told."""
    if settings.announce is None:
        return sdp
    lines = []
    for line in sdp.splitlines():
        parts = line.split(" ")
        if line.startswith("a=candidate:") and "host" in parts:
            parts[4] = settings.announce
            line = " ".join(parts)
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"
