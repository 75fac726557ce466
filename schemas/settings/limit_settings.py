"""Bounds of the gateway, its own listener, and calls."""

import base64
import binascii
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from schemas.document_models import ClosedModel
from schemas.settings.access_settings import NO_LIMITS, PrincipalLimits
from schemas.settings.model_settings import FunctionName


class AdmissionSettings(ClosedModel):
    """When a replica takes no more turns and sessions, because the engines cannot keep up with those it has.

    Requests over any of these bounds are refused with 503 `gateway.busy` and a Retry-After from the measured
    pace; those that were taken before are served.
    """

    slowdown: float | None = Field(default=1.5, gt=1)
    """So many times as late as with hardly any turns here answers may begin: up to there new sessions are let
    in, and questions in sessions where nothing has happened for five minutes. None: all are let in, up to
    the bounds below.
    """
    waiting_turns: int = Field(default=64, ge=1)
    """Calls of this replica that an engine has not begun to answer."""
    wait_s: float = Field(default=30.0, gt=0)
    """How long the oldest of them may have been waiting."""
    busy_s: float = Field(default=1.0, ge=0)
    """So long after an engine refused a call because all its places were taken."""
    patience_s: float = Field(default=60.0, ge=0)
    """How long a turn that was taken goes on asking an engine that is busy; then it fails."""


class LeavingSettings(ClosedModel):
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


class LimitSettings(ClosedModel):
    """Every bound of the gateway, each with what happens when it is reached."""

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
    """Microphones and files that one replica listens to; one more is refused: 503 `gateway.busy`. The last
    quarter is for principals that have fewer than as many: 429 `limit.listeners`."""
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
    held_bytes: int = Field(default=256 * 1024 * 1024, ge=1_000)
    """Bytes of long sessions' events that all connections of this replica hold; more is refused: 503
    `gateway.busy`."""
    whole_file_bytes: int = Field(default=16 * 1024 * 1024, ge=0)
    """Speech with more PCM (5.8 minutes; as WAV or PCM a quarter of that) is sent as a file while it is made;
    less is made at once and kept for a while."""
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


class WebRtcSettings(ClosedModel):
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


_KEY_BYTES: Final = 32
HANG_UP: Final = "hang_up"
TRANSFER: Final = "transfer"
TelephoneProvider = Literal["twilio", "telnyx"]


def _checked_key(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not base64") from error
    if len(key) != _KEY_BYTES:
        raise ValueError("an ed25519 public key has 32 bytes")
    return text


class TelephoneSettings(ClosedModel):
    """Calls over media streams of Twilio and Telnyx. Without the provider's secret no call is taken."""

    public_url: str | None = Field(default=None, pattern=r"^https://[^\s/?#@]{1,255}(/[^\s?#]{0,255})?$")
    """Address at which the provider reaches this server, as `https://voice.example.com`: signatures are made
    of it, and calls are led to it."""
    twilio_auth_token: SecretStr | None = Field(default=None, min_length=8)
    """Auth token of the Twilio account, which signs its requests; None: no calls of Twilio."""
    telnyx_public_key: Annotated[str, AfterValidator(_checked_key)] | None = None
    """Public key of the Telnyx account in base64, as its portal shows it; None: no calls of Telnyx."""
    telnyx_codec: Literal["PCMU", "PCMA"] = "PCMU"
    """G.711 with mu-law or A-law, both ways."""
    insecure: bool = False
    """Calls without any signature, from this machine's loopback addresses only: for tests."""
    principal: str = Field(default="telephone", pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
    """Owner of the sessions of calls; on an open server they have none."""
    system_prompt: str = Field(default="", max_length=8_000)
    """Instructions of sessions of calls; empty: those of all sessions."""
    greeting: str = Field(default="", max_length=2_000)
    """Said when a call begins; empty: the caller speaks first."""
    transfer_to: dict[
        FunctionName, Annotated[str, Field(pattern=r"^(\+?[0-9]{2,20}|sip:[^\s<>]{1,200})$")]
    ] = {}
    """Numbers or SIP addresses that the model may transfer calls to, by the names that it is told."""
    key_prompts: bool = False
    """Keys that the caller presses are also a prompt for the model, after `#` or a pause."""
    key_pause_s: float = Field(default=2.0, gt=0, le=60)
    """A pause after a key that ends such a prompt."""
    calls: int = Field(default=20, ge=0)
    """Calls of one gateway; the provider is told that the line is busy for one more."""
    call_s: float = Field(default=3_600.0, gt=0)
    """A longer call is hung up."""
    start_s: float = Field(default=10.0, gt=0)
    """A media stream that has not said by then which call it belongs to is closed."""
    idle_s: float = Field(default=30.0, gt=0)
    """A media stream from which nothing came for so long is closed."""
    reconnections: int = Field(default=20, ge=0, le=1_000)
    """So often a call whose media stream broke is continued; then it is hung up."""

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions that the model of a call may call."""
        if not (self.twilio_auth_token or self.telnyx_public_key or self.insecure):
            return ()
        return (HANG_UP, TRANSFER) if self.transfer_to else (HANG_UP,)

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.public_url is None and (self.twilio_auth_token or self.telnyx_public_key):
            raise ValueError("public_url: signatures cannot be checked without it")
        return self


class GatewaySettings(ClosedModel):
    """The gateway's own listener, beside Serve's proxy."""

    direct_host: str = "127.0.0.1"
    direct_port: int | None = Field(default=None, ge=1, le=65_535)
    """Clients may come here, past Serve's proxy; `rhapsode up` sets it. None: only through the proxy."""
    frame_bytes: int = Field(default=16 * 1024 * 1024, ge=1_000)
    """A larger WebSocket message closes the connection (1009)."""
    leaving: LeavingSettings = LeavingSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    telephone: TelephoneSettings = TelephoneSettings()


class StreamingSettings(ClosedModel):
    """How answers are handed to the clients of conversations."""

    model_config = ConfigDict(populate_by_name=True)

    chunk_size: int | None = Field(default=None, ge=1, le=8_000, alias="chunkSize")
    """Characters of one `chunk` at most; None: as the model writes them."""
