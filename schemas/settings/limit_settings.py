"""Bounds of the gateway and its own listener."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.settings.access_settings import NO_LIMITS, PrincipalLimits
from schemas.settings.telephone_settings import TelephoneSettings


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AdmissionSettings(_Settings):
    """When a replica takes no more turns and sessions, because the engines cannot keep up with those it has.

    What is over any of these bounds is refused with 503 `gateway.busy` and a Retry-After from the measured
    pace; what was taken before is served.
    """

    slowdown: float | None = Field(default=1.5, gt=1)
    """So many times as late as with hardly anybody here answers may begin: newcomers are let in up to there.

    Newcomers are new sessions, and questions in sessions where nothing has happened for five minutes. None:
    all are let in, up to the bounds below.
    """
    waiting_turns: int = Field(default=64, ge=1)
    """Calls of this replica that an engine has not begun to answer."""
    wait_s: float = Field(default=30.0, gt=0)
    """How long the oldest of them may have been waiting."""
    busy_s: float = Field(default=1.0, ge=0)
    """So long after an engine refused a call because all its places were taken."""
    patience_s: float = Field(default=60.0, ge=0)
    """How long a turn that was taken goes on asking an engine that is busy; then it fails."""


class LeavingSettings(_Settings):
    """How a replica goes: what it does goes on elsewhere, and those who listen are told to follow.

    `graceful_shutdown_timeout_s` of the Gateway deployment follows from all three together; where the
    configuration file says it, it must be longer.
    """

    sentence_s: float = Field(default=4.0, ge=0)
    """A turn is handed over between two sentences, or after so long in the middle of one."""
    spread_s: float = Field(default=1.0, ge=0)
    """Listeners are sent away one after the other, all of them within so long."""
    grace_s: float = Field(default=8.0, ge=0)
    """Answers that cannot be resumed (OpenAI's streams, uploads) may take so long to end."""

    @property
    def longest_s(self) -> float:
        """From being told to go until everything is elsewhere or over."""
        return self.sentence_s + self.spread_s + self.grace_s


class LimitSettings(_Settings):
    """Every bound of the gateway. What happens when one is reached is said beside it."""

    prompt_chars: int = Field(default=20_000, ge=1)
    """Longer prompts are refused: 422 `input.too_long`."""
    text_chars: int = Field(default=400_000, ge=1)
    """Longer verbatim texts are refused: 422 `input.too_long`."""
    body_bytes: int = Field(default=2_000_000, ge=1_000)
    """Larger request bodies or WebSocket messages are refused: 413 `body.too_large`."""
    upload_bytes: int = Field(default=512 * 1024 * 1024, ge=1_000)
    """Larger recordings are refused: 413 `body.too_large`."""
    upload_s: float = Field(default=3_600.0, gt=0)
    """Longer recordings are refused: 422 `input.too_long`."""
    inputs: int = Field(default=200, ge=1)
    """Microphones and files that one replica listens to; one more is refused: 503 `gateway.busy`."""
    arriving_bytes: int = Field(default=4 * 1024 * 1024 * 1024, ge=1_000)
    """Bytes on the disk of one replica for all arriving files; more is refused: 503
    `gateway.busy`."""
    rejoin_s: float = Field(default=3.0, ge=0)
    """How long a microphone whose connection broke is waited for, before what it said counts as all."""
    bundle_bytes: int = Field(default=256 * 1024 * 1024, ge=1_000)
    """Larger bundles are not imported: 413 `bundle.too_large`. Unpacked they may be four times as large."""
    queued_turns: int = Field(default=8, ge=0)
    """Turns waiting behind the running one; one more is refused: 429 `turn.queue_full`."""
    live_sessions: int = Field(default=400, ge=1)
    """Sessions with a turn running in this replica; one more is refused: 503 `gateway.busy`."""
    listeners: int = Field(default=4_000, ge=1)
    """Sockets, event streams and downloads in this replica; one more is refused: 503 `gateway.busy`."""
    whole_file_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
    """Speech with more PCM (5.8 minutes) is sent as a file while it is made; less is made at once and kept
    for a while."""
    listener_buffer: int = Field(default=256, ge=8)
    """Events held for one listener; when full they are dropped and read again from the log."""
    sentences_ahead: int = Field(default=2, ge=0, le=16)
    """Sentences in synthesis beyond the one whose audio is being recorded; others wait."""
    heartbeat_s: float = Field(default=15.0, gt=0)
    admission: AdmissionSettings = AdmissionSettings()
    principal: PrincipalLimits = PrincipalLimits()
    """For each principal by itself, over all replicas."""
    everybody: PrincipalLimits = NO_LIMITS
    """For all together, on an open server."""


Port = Annotated[int, Field(ge=1, le=65_535)]


class WebRtcSettings(_Settings):
    """Calls over WebRTC (`POST /v1/realtime/calls`): where their sound comes in, and their bounds.

    Every call has one UDP socket on each of `hosts`. Nothing is asked of any other server unless `stun` or
    `turn` name one.
    """

    hosts: tuple[str, ...] = Field(default=("127.0.0.1",), min_length=1, max_length=16)
    """Addresses of this machine that calls may reach; "all": every one but loopback."""
    announce: str | None = None
    """The address that clients are told instead, where a router forwards the same ports from it."""
    ports: tuple[Port, Port] | None = None
    """The first and the last UDP port of calls; None: any that is free."""
    stun: str | None = Field(default=None, pattern=r"^stun:\S{1,255}$")
    """A STUN server, as `stun:host:port`."""
    turn: str | None = Field(default=None, pattern=r"^turns?:\S{1,255}$")
    """A TURN server that relays sound, as `turn:host:port?transport=udp`."""
    turn_username: str = ""
    turn_credential: SecretStr = SecretStr("")
    calls: int = Field(default=100, ge=0)
    """Calls of one gateway; one more is refused: 503 `gateway.busy`."""
    calls_per_principal: int = Field(default=8, ge=1)
    """Calls of one principal on one gateway; one more is refused: 429 `limit.listeners`. On an open server
    nobody is counted so."""
    sdp_bytes: int = Field(default=64 * 1024, ge=1_000)
    """A longer offer is refused: 413 `body.too_large`."""
    message_bytes: int = Field(default=256 * 1024, ge=1_000, le=256 * 1024)
    """A longer event on the data channel is answered by the error `event_too_large`."""
    connect_s: float = Field(default=15.0, gt=0)
    """A call whose data channel is not open after so long is given up."""
    idle_s: float = Field(default=900.0, gt=0)
    """A call from which neither sound nor an event came for so long is ended."""

    @model_validator(mode="after")
    def _in_order(self) -> "WebRtcSettings":
        if self.ports is not None and self.ports[0] > self.ports[1]:
            raise ValueError("ports: the first port is greater than the last one")
        return self


class GatewaySettings(_Settings):
    """The gateway's own listener, beside Serve's proxy."""

    direct_host: str = "127.0.0.1"
    direct_port: int | None = Field(default=None, ge=1, le=65_535)
    """Clients may come here, past Serve's proxy; `rhapsode up` sets it. None: only through the proxy."""
    frame_bytes: int = Field(default=16 * 1024 * 1024, ge=1_000)
    """A larger WebSocket message closes the connection (1009)."""
    leaving: LeavingSettings = LeavingSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    telephone: TelephoneSettings = TelephoneSettings()


class StreamingSettings(_Settings):
    """How answers are handed to the clients of conversations."""

    model_config = ConfigDict(populate_by_name=True)

    chunk_size: int | None = Field(default=None, ge=1, le=8_000, alias="chunkSize")
    """Characters of one `chunk` at most; None: as the model writes them."""
