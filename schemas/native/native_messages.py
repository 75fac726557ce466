"""Messages of the native protocol beside events: a client's messages, our frames, our answers."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.document_models import ClosedModel
from schemas.native.client_commands import AcknowledgePlayback, Control, OpenInput, RequestTurn
from schemas.settings import SessionSettings
from schemas.settings.listening_settings import Mode

LogState = Literal["ok", "full", "unavailable"]
"""Whether the log takes events, answers reads only (its memory is full), or does not answer."""


class ModeView(ClosedModel):
    """A way of listening that a session may choose, as `listening.mode`."""

    mode: Mode
    description: str
    latency: str
    """From the end of speech to its text, and to the answer."""
    quality: str
    engine: str
    """Providers that transcribe."""
    providers: tuple[str, ...] = ()
    """Other providers, by `listening.provider`."""


class ListeningModes(ClosedModel):
    default: Mode
    modes: tuple[ModeView, ...]


class Measurement(ClosedModel):
    """One metric with one set of labels, as docs/metrics.md describes it."""

    name: str
    labels: dict[str, str]
    total: float
    """Of a histogram: the sum of what was observed."""
    count: int | None = None
    """Of a histogram: how often something was observed."""
    p50: float | None = None
    """Estimated from the histogram's buckets."""
    p95: float | None = None


class SessionMetrics(ClosedModel):
    """Worked out from the log of the session, just now."""

    session_id: str
    metrics: tuple[Measurement, ...]


class Readiness(ClosedModel):
    """Whether this replica should be sent anything new. Its engines are not asked: see /v1/health."""

    status: Literal["ready", "saturated", "leaving"]
    detail: str = ""
    log: LogState = "ok"
    """As this replica sees it. Does not count: all replicas share the log, so none answers better."""


class GatewayView(ClosedModel):
    """One gateway, as it last announced itself."""

    gateway: str
    host: str
    pid: int
    release: str
    """`release` of its settings; where that is empty, the version of its program."""
    since_ms: int
    seen_ms: int
    turns: int
    """Running there now."""
    sessions: int
    """Sessions that it owns, those included that run no turn now."""
    listeners: int
    """Connections that last."""
    waiting: int
    """Calls that no engine has begun to answer."""
    saturated: str = ""
    """Why it takes no more turns; empty: it does."""
    leaving: str = ""
    """Why it goes; empty: it stays."""


class GatewayList(ClosedModel):
    """All that are there, the oldest first."""

    gateways: tuple[GatewayView, ...]


class LeaveAccepted(ClosedModel):
    """It will go: what it runs is handed over, and who listens there is sent on."""

    gateway: str


class TokenMade(ClosedModel):
    """For a browser: carries the caller's API key without being it."""

    token: str
    expires_in: int
    """Seconds."""
    renewal: str
    """Good for the next token, at `POST /v1/tokens/renewal` and nowhere else. Never in an address."""
    renewal_expires_in: int
    """Seconds."""


class ShareMade(ClosedModel):
    """A new share link; nobody can be told its token again."""

    share_id: str
    token: str
    url: str
    """The page in listening mode."""
    expires_at: datetime | None


class ShareView(ClosedModel):
    share_id: str
    label: str
    created_at: datetime
    expires_at: datetime | None


class ShareList(ClosedModel):
    """The links that are good now."""

    shares: tuple[ShareView, ...]


Ref = Annotated[str, Field(max_length=128)]
"""Any string of the client's; the answer to its message carries it."""


# ---------------------------------------------------------------- client to server, WebSocket


class ClientTurnRequest(RequestTurn):
    """Ask; answered by `accepted` or `error`."""

    type: Literal["turn.request"] = "turn.request"
    ref: Ref | None = None


class ClientControl(Control):
    """Stop, pause, resume or skip; answered by `accepted` or `error`."""

    type: Literal["control"] = "control"
    ref: Ref | None = None


class ClientPing(ClosedModel):
    """Answered by `pong`."""

    type: Literal["ping"] = "ping"
    ref: Ref | None = None


class ClientInputOpen(OpenInput):
    """Answered by `input.ready` or `error`; binary frames of sound may follow at once."""

    type: Literal["input.open"] = "input.open"
    ref: Ref | None = None


class ClientInputCommit(ClosedModel):
    """Ends the utterance here. Answered by `accepted`."""

    type: Literal["input.commit"] = "input.commit"
    ref: Ref | None = None


class ClientInputClear(ClosedModel):
    """Forget what was said since the last utterance. Answered by `accepted`."""

    type: Literal["input.clear"] = "input.clear"
    ref: Ref | None = None


class ClientInputClose(ClosedModel):
    """No more sound follows; what was said is written down. Answered by `accepted`."""

    type: Literal["input.close"] = "input.close"
    ref: Ref | None = None


class ClientPlayback(AcknowledgePlayback):
    """Not answered, unless it is wrong."""

    type: Literal["playback.ack"] = "playback.ack"
    ref: Ref | None = None


ClientMessage = Annotated[
    ClientTurnRequest
    | ClientControl
    | ClientPing
    | ClientInputOpen
    | ClientInputCommit
    | ClientInputClear
    | ClientInputClose
    | ClientPlayback,
    Field(discriminator="type"),
]
CLIENT_MESSAGE: Final[TypeAdapter[ClientMessage]] = TypeAdapter(ClientMessage)


# ---------------------------------------------------------------- server to client, SSE and WebSocket


class Hello(ClosedModel):
    """The first frame: where the session stands and from where this listener reads."""

    type: Literal["hello"] = "hello"
    session_id: str
    generation: str
    head_seq: int
    from_seq: int


class Heartbeat(ClosedModel):
    """The connection lives although nothing happened. It is not in the log, and no cursor."""

    type: Literal["heartbeat"] = "heartbeat"
    head_seq: int
    log: LogState = "ok"
    """`unavailable`: events come again when the log is back, none is lost. Told at once when it changes."""


class Reconnect(ClosedModel):
    """This gateway is leaving: come back with `cursor`, after `after_s`. Nothing is lost; then it closes."""

    type: Literal["reconnect"] = "reconnect"
    cursor: str
    after_s: float = 0.0


class ErrorFrame(ClosedModel):
    """With `ref`: the answer to that message, the socket stays open. Without: the server closes."""

    type: Literal["error"] = "error"
    code: str
    message: str
    ref: str | None = None
    field: str | None = None
    retryable: bool = False
    retry_after_s: int | None = None
    """When it will be possible again, where that is known."""
    reason: str | None = None
    """As in a problem of HTTP."""


class End(ClosedModel):
    """Nothing more will come on this connection; `seq` is the last event sent."""

    type: Literal["end"] = "end"
    reason: str
    seq: int


class Accepted(ClosedModel):
    """The command is in the log at `seq`; `turn` is set where one was requested."""

    type: Literal["accepted"] = "accepted"
    seq: int
    turn: int | None = None
    ref: str | None = None


class InputReady(ClosedModel):
    """Send the input's sound from `from_ms` on; what came before is safe."""

    type: Literal["input.ready"] = "input.ready"
    input: str
    from_ms: int
    ref: str | None = None


class InputAck(ClosedModel):
    """Sound before `ms` is safe, or what was said in it is: it need not be sent again."""

    type: Literal["input.ack"] = "input.ack"
    input: str
    ms: int


class Pong(ClosedModel):
    type: Literal["pong"] = "pong"
    ref: str | None = None


# ---------------------------------------------------------------- answers, HTTP


class Problem(ClosedModel):
    """application/problem+json (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    retryable: bool = False
    field: str | None = None
    """Path of the wrong field, as `settings.speech_speed`."""
    reason: str | None = None
    """Tells causes of the same code apart: `log.unavailable` is `unreachable` or `full`."""


class Links(ClosedModel):
    """Addresses of a session's parts, relative to this server."""

    self: str
    events: str
    stream: str
    audio: str
    page: str


class SessionCreated(ClosedModel):
    session_id: str
    generation: str
    head_seq: int
    settings: SessionSettings
    links: Links


class TurnError(ClosedModel):
    """Why a turn failed."""

    code: str
    message: str
    retryable: bool = False


class TurnView(ClosedModel):
    """One question and its answer so far."""

    turn: int
    kind: Literal["prompt", "text"]
    text: str
    """Text of the request."""
    answer: str
    """The shown text so far."""
    status: Literal["requested", "running", "completed", "stopped", "failed"]
    sentences: int = 0
    audio_ms: int = 0
    error: TurnError | None = None


class SessionView(ClosedModel):
    """The session as its events up to `head_seq` make it."""

    session_id: str
    generation: str
    head_seq: int
    state: Literal["live", "sealed", "archived", "deleted"]
    title: str
    settings: SessionSettings
    paused: bool
    running_turn: int | None
    turns: tuple[TurnView, ...] = ()


class SessionUpdated(ClosedModel):
    seq: int
    settings: SessionSettings


class TurnAccepted(ClosedModel):
    session_id: str
    turn: int
    seq: int


class UtteranceView(ClosedModel):
    """Speech without a longer pause."""

    utterance: int
    text: str


class RecordingHeard(ClosedModel):
    """A recording has been listened to, up to the event `seq`."""

    session_id: str
    input: str
    ms: int
    seq: int
    text: str
    utterances: tuple[UtteranceView, ...]
    turn: int | None
    """The question that was asked of it, if one was."""


class ControlAccepted(ClosedModel):
    seq: int


class Voices(ClosedModel):
    voices: tuple[str, ...]
    providers: dict[str, tuple[str, ...]]
    """Speech providers, and the voices of each; "local" is this server."""
    languages: dict[str, dict[str, tuple[str, ...]]] = {}
    """Languages of each voice, by provider, as BCP 47 tags; "*": every one; none: it is not known."""


class LocalModel(ClosedModel):
    name: str
    role: Literal["language-model", "speech-to-text", "voice"]
    languages: tuple[str, ...] = ()
    """BCP 47 tags; "*": many; empty for the packaged models."""
    megabytes: int = 0
    """Size of its files; 0 for the packaged models."""
    licence: str = ""
    state: Literal["in use", "also in use", "installed", "-"]
    """Chosen for the next start, chosen beside that, downloaded, or in the manifest only."""
    fits: bool = True
    """Whether the memory that is free now would hold it."""


class LocalModels(ClosedModel):
    """Models of the gateway's machine: the packaged ones, and those of the manifest (docs/models.md)."""

    models: tuple[LocalModel, ...]
    free_megabytes: int


class Health(ClosedModel):
    """200 only where every part is "ok", or "starts when first asked" as long as nobody asks for it."""

    status: str
    version: str = ""
    """Of the program that answers; during a rollout gateways differ."""
    log: str = "ok"
    language_model: str = "ok"
    text_to_speech: str = "ok"
    speech_to_text: str = "ok"
    quality_speech_to_text: str = "ok"
    retrieval: str = "ok"
