"""The calls of this gateway: each is a task of its own, which outlives the request that brought the offer."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpCodecCapability, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import SessionDescription

from deployments.container import GatewayContainer
from deployments.faces.realtime.realtime_connection import Connection, converse
from deployments.faces.realtime.realtime_opening import Opened
from deployments.faces.realtime.webrtc.call_sound import CallSound
from deployments.faces.realtime.webrtc.event_channel import LABEL, EventChannel
from deployments.faces.realtime.webrtc.ice_agent import (
    announced,
    bind_to_configured,
    new_peer,
    with_candidates_of_use,
)
from deployments.faces.realtime.webrtc.sound_input import SoundInput
from deployments.faces.realtime.webrtc.sound_output import SoundOutput
from pipeline.core.task_scope import TaskScope
from schemas.errors import GatewayBusy, RhapsodeError
from schemas.errors.access_errors import ListenerLimit
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.settings.limit_settings import WebRtcSettings

log = logging.getLogger(__name__)

_OPUS: Final = RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48_000, channels=2, parameters={})
_ANSWER_S: Final = 15.0
_CLOSE_S: Final = 3.0
_LOOK_S: Final = 1.0
_RETRY_S: Final = 5.0
_OVERRUN: Final = -4 * 1024 * 1024
"""Bytes that a client may send beyond the receive window that it was told."""
_PIECES: Final = 4_000
"""Pieces of events that may wait for the others: each new one has all of its stream's looked at. The receive
window has room for a quarter of it, in pieces as clients cut them."""
_LINES: Final = 300
"""Of an offer: its reader goes through all codecs for each `rtcp-fb`, and all sources for each new
one. Offers of browsers have about a hundred."""
_TAKES: Final = 4_096
"""Bytes of a message that a client must take: errors are shorter; 0 in an offer is any size."""
Open = Callable[[], Awaitable[Opened]]
Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """An offer's answer, and the id of the call."""

    sdp: str
    call: str


class Calls(TaskScope):
    """An async context manager: all calls end with the block."""

    def __init__(self, services: GatewayContainer) -> None:
        super().__init__()
        self._services = services
        self._settings = services.settings.gateway.webrtc
        self._whose: Counter[str] = Counter()
        self._ending = anyio.Event()
        self._emptied = anyio.Event()

    async def see_out(self) -> None:
        """End all calls where another gateway can go on, for it is time to close."""
        self._ending.set()
        with anyio.move_on_after(_CLOSE_S):
            while self._whose:
                self._emptied = anyio.Event()
                await self._emptied.wait()

    async def answer(self, whose: str, offer: str, open_: Open, allowed: Work) -> Answered:
        """Begin a call of this principal. `open_` opens its session once the offer is understood; `allowed`
        raises an AccessError when the caller may not go on.

        Raises RealtimeInvalid, GatewayBusy, ListenerLimit, or what `open_` raises.
        """
        drain = self._services.leaving.drain
        drain.check()
        if self._whose.total() >= self._settings.calls:
            raise GatewayBusy(f"{self._settings.calls} calls are open on this gateway; try again shortly.")
        if whose and self._whose[whose] >= self._settings.calls_per_principal:
            raise ListenerLimit(
                f"One principal may have at most {self._settings.calls_per_principal} calls.",
                retry_after_s=_RETRY_S,
            )
        checked(offer)
        answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._whose[whose] += 1  # here, for the task begins later: others ask meanwhile
        self.spawn(self._run, whose, offer, open_, allowed, answered)
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answered
        except TimeoutError as error:
            raise GatewayBusy("No UDP port could be opened in time.") from error

    async def _run(
        self, whose: str, offer: str, open_: Open, allowed: Work, answered: asyncio.Future[Answered]
    ) -> None:
        call = _Call(self._services, self._settings, self._ending)
        try:
            with self._services.leaving.drain.guest():
                sdp = await call.negotiate(offer)
                opened = await open_()
                try:
                    if answered.cancelled():  # no client waits for the answer any more
                        return
                    call.name = f"rtc_{opened.session}_{secrets.token_hex(4)}"
                    answered.set_result(Answered(sdp, call.name))
                    await call.run(opened, allowed)
                finally:
                    opened.let_go()
        except RhapsodeError as error:
            if not answered.done():
                answered.set_exception(error)
        except Exception as error:  # other calls go on
            log.exception("call %s broke", call.name)
            if not answered.done():
                answered.set_exception(error)
        finally:
            self._whose[whose] -= 1
            self._whose += Counter()  # principals without calls are forgotten
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await call.close()
            self._emptied.set()


class _Call:
    """One peer connection."""

    def __init__(self, services: GatewayContainer, settings: WebRtcSettings, ending: anyio.Event) -> None:
        self.name = ""
        self._ending = ending
        self._services = services
        self._settings = settings
        self._peer: RTCPeerConnection = new_peer(settings)
        self._output = SoundOutput()
        self._track: MediaStreamTrack | None = None
        self._channel: EventChannel | None = None
        self._connected = anyio.Event()
        """The data channel is open, or there will be none."""
        self._peer.on("datachannel", self._take_channel)
        self._peer.on("track", self._take_track)
        self._peer.on("connectionstatechange", self._changed)

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = EventChannel(channel, self._settings.message_bytes)
        self._connected.set()

    def _take_track(self, track: MediaStreamTrack) -> None:
        self._track = track

    def _changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._connected.set()
            if self._channel is not None:
                self._channel.cut()

    async def negotiate(self, offer: str) -> str:
        """Returns the answer with all candidates. Raises RealtimeInvalid or GatewayBusy."""
        try:
            transceiver = self._peer.addTransceiver(self._output, "sendrecv")
            transceiver.setCodecPreferences([_OPUS])
            offer = with_candidates_of_use(offer, self._settings)
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            bind_to_configured(self._peer, self._settings)
            await self._peer.setLocalDescription()
        except GatewayBusy:
            raise
        except Exception as error:  # the reader of offers raises whatever its reading of a wrong one meets
            log.info("an offer cannot be answered", exc_info=error)
            raise _invalid(f"The offer cannot be answered: {error}") from error
        return announced(self._peer.localDescription.sdp, self._settings)

    async def run(self, opened: Opened, allowed: Work) -> None:
        """The conversation, once the client is connected, until one side leaves."""
        with anyio.move_on_after(self._settings.connect_s):
            await self._connected.wait()
        channel = self._channel
        if channel is None:
            log.info("call %s was not connected within %g s", self.name, self._settings.connect_s)
            return
        sound = CallSound(self._services, opened, self._output, self.name)
        connection = Connection(self._services, channel, opened, sound)
        heard = SoundInput(connection.audio_input, connection.refused, self._services.clock)

        async def cut_after(work: Work) -> None:
            await work()
            channel.cut()

        async def hung_up() -> None:
            await sound.hung_up.wait()
            await connection.say("call.hung_up", call_id=self.name)

        beside: list[Work] = [
            allowed,
            partial(self._output.run, connection.say),
            partial(cut_after, hung_up),
            partial(cut_after, self._see_out),
            partial(cut_after, partial(self._idle, channel, heard)),
        ]
        if self._track is not None:
            beside.append(partial(heard.run, self._track))
        await converse(connection, channel, *beside)
        log.info("call %s is over: %d frames came, %d ms did not", self.name, heard.frames, heard.missing_ms)

    async def _see_out(self) -> None:
        """Return when this gateway leaves, at a place from which another one can go on."""
        async with anyio.create_task_group() as either:

            async def first(signal: Work) -> None:
                await signal()
                either.cancel_scope.cancel()

            either.start_soon(first, self._services.leaving.drain.leave_signal)
            either.start_soon(first, self._ending.wait)
        await self._output.leave()

    async def _idle(self, channel: EventChannel, heard: SoundInput) -> None:
        """Return when nothing has come from the client for long, or too much at once."""
        clock = self._services.clock
        seen, since = (0, 0), clock.monotonic()
        while True:
            await clock.sleep(_LOOK_S)
            now = (channel.received, heard.frames)
            if now != seen:
                seen, since = now, clock.monotonic()
            if clock.monotonic() - since > self._settings.idle_s or self._overrun:
                return

    @property
    def _overrun(self) -> bool:
        """Whether more came than may wait, in bytes or in pieces of which no event is made."""
        sctp = self._peer.sctp
        if sctp is None:
            return False
        pieces = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
        return sctp._advertised_rwnd < _OVERRUN or pieces > _PIECES

    async def close(self) -> None:
        self._output.stop()
        try:
            await self._peer.close()
        except ConnectionError:
            pass
        except Exception:  # other calls go on
            log.exception("call %s was not closed whole", self.name)


def checked(offer: str) -> None:
    """Raises RealtimeInvalid unless it is an offer of one audio track and a data channel."""
    if len(offer.splitlines()) > _LINES:
        raise _invalid(f"An offer has at most {_LINES} lines.")
    try:
        description = SessionDescription.parse(offer)
    except Exception as error:  # as in `negotiate`
        raise _invalid("The offer is no SDP.") from error
    kinds = sorted(media.kind for media in description.media)
    if kinds != ["application", "audio"]:
        found = ", ".join(kinds) or "nothing"
        raise _invalid(
            f"An offer has one audio track and the data channel {LABEL!r}; this one has {found[:80]}."
        )
    for media in description.media:
        longest = media.sctpCapabilities.maxMessageSize if media.sctpCapabilities else 0
        if 0 < longest < _TAKES:
            raise _invalid(f"a=max-message-size is {longest}; events have up to {_TAKES} bytes and more.")


def _invalid(message: str) -> RealtimeInvalid:
    return RealtimeInvalid(message, reason="invalid_offer", field="sdp")
