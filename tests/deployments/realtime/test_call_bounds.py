"""Calls that go wrong on the server's side: they are counted, leave no socket, and end no other call."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk

from deployments.faces.realtime.realtime_opening import Opened
from deployments.faces.realtime.webrtc.calls import Calls, _Call, checked
from deployments.faces.realtime.webrtc.ice_agent import with_candidates_of_use
from pipeline.core.clock import SystemClock
from pipeline.sessions.drain import Drain
from schemas.errors import GatewayBusy, SessionNotFound
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.settings.limit_settings import LeavingSettings, WebRtcSettings
from tests.deployments.realtime.call_client import Caller

pytestmark = pytest.mark.anyio


class Gateway:
    """As much of a gateway as calls need whose session cannot be opened."""

    def __init__(self, **webrtc: Any) -> None:
        self.settings = self.gateway = self
        self.webrtc = WebRtcSettings(**webrtc)
        self.leaving = self
        self.drain = Drain(LeavingSettings())
        self.clock = SystemClock()


def gateway(**webrtc: Any) -> Any:
    return Gateway(**webrtc)


async def refused() -> Opened:
    raise SessionNotFound("there is no such session")


async def allowed() -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def offer() -> str:
    caller = Caller()
    made = await caller.offer()
    await caller.leave()
    return made


async def test_calls_that_begin_at_the_same_moment_are_counted(offer: str) -> None:
    async with Calls(gateway(calls=1)) as calls:
        asked = (calls.answer("anna", offer, refused, allowed) for _ in range(3))
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert sorted(type(one).__name__ for one in told) == ["GatewayBusy", "GatewayBusy", "SessionNotFound"]
        await calls.see_out()
        with pytest.raises(SessionNotFound):
            await calls.answer("anna", offer, refused, allowed)


async def test_a_call_that_nobody_connects_to_holds_its_session_no_more(offer: str) -> None:
    released = list[str]()

    async def opened() -> Any:
        return SimpleNamespace(session="session", let_go=lambda: released.append("session"))

    async with Calls(gateway(connect_s=0.01)) as calls:
        await calls.answer("anna", offer, opened, allowed)
        await calls.see_out()
    assert released == ["session"]


async def test_a_call_for_which_one_address_has_no_port_leaves_none_of_another_open(offer: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    elsewhere = "192.0.2.1"  # RFC 5737: no machine's own
    async with Calls(gateway(hosts=("127.0.0.1", elsewhere), ports=(port, port))) as calls:
        for _ in range(2):
            with pytest.raises(GatewayBusy, match=elsewhere):
                await calls.answer("anna", offer, refused, allowed)
            await calls.see_out()


async def test_a_call_that_cannot_be_closed_ends_no_other(
    offer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = RTCPeerConnection.close

    async def broken(peer: RTCPeerConnection) -> None:
        await close(peer)
        raise RuntimeError("broken")

    monkeypatch.setattr(RTCPeerConnection, "close", broken)
    async with Calls(gateway()) as calls:
        for _ in range(2):
            with pytest.raises(SessionNotFound):
                await calls.answer("anna", offer, refused, allowed)
            await calls.see_out()


async def test_a_call_with_too_many_pieces_of_events_that_have_no_end_is_over(offer: str) -> None:
    services = gateway()
    call = _Call(services, services.webrtc, anyio.Event())
    await call.negotiate(offer)
    assert call._peer.sctp is not None
    stream = call._peer.sctp._get_inbound_stream(1)
    for number in range(5_000):
        piece = DataChunk(0 if number else SCTP_DATA_FIRST_FRAG)
        piece.tsn, piece.user_data = number + 1, b"x"
        stream.add_chunk(piece)
    silent: Any = SimpleNamespace(received=0, frames=0)
    async with asyncio.timeout(10):
        await call._idle(silent, silent)
    await call.close()


async def test_a_client_that_takes_no_event_at_all_is_refused_with_its_offer(offer: str) -> None:
    longest = "a=max-message-size:"
    lines = [f"{longest}1" if line.startswith(longest) else line for line in offer.splitlines()]
    with pytest.raises(RealtimeInvalid, match="max-message-size is 1"):
        checked("\r\n".join(lines) + "\r\n")
    checked(offer)
    checked(offer.replace("m=application", f"{longest}65536\r\nm=application"))


CANDIDATE = "a=candidate:1 1 udp 2130706431 {} 9000 typ host"
ELSEWHERE = (
    "127.0.0.1",
    "::1",
    "224.0.0.1",
    "ff0e::1",
    "0.0.0.0",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "x.local",
    "X.LOCAL",
    "example.org",
)


def test_an_offer_has_checks_sent_to_public_addresses_only_and_none_unless_a_server_is_asked() -> None:
    def kept(*addresses: str, **webrtc: Any) -> list[str]:
        offer = "\r\n".join(["v=0", *map(CANDIDATE.format, addresses), "a=end-of-candidates", ""])
        lines = with_candidates_of_use(offer, WebRtcSettings(**webrtc)).splitlines()
        assert lines[0] == "v=0"
        return [line.split()[4] for line in lines[1:]]

    public = ["9.9.9.9", "2620:fe::fe"]
    assert kept(*public, *ELSEWHERE) == []
    for asked in ({"stun": "stun:stun.example:3478"}, {"turn": "turn:turn.example:3478"}):
        assert kept(*public, *ELSEWHERE, "", **asked) == public
        assert len(kept(*["9.9.9.9"] * 100, **asked)) == 32
