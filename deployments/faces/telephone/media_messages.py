"""Messages of media streams, as Twilio and Telnyx write and take them, and the WebSocket that bears them."""

import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import anyio
import orjson
from fastapi import WebSocket, WebSocketDisconnect

from deployments.web.ws_drain import GONE, deliver
from pipeline.core.clock import Clock
from schemas.errors import InputError
from schemas.ids import is_digits
from schemas.settings.limit_settings import TelephoneProvider

G711 = Literal["mulaw", "alaw"]
LONGEST: Final = 64 * 1024
"""Characters of a message; 20 ms of sound take 400."""
_ENCODINGS: Final[dict[str, G711]] = {"audio/x-mulaw": "mulaw", "PCMU": "mulaw", "PCMA": "alaw"}
_NAME: Final = 128
_TOKEN: Final = 2_048


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A media stream begins."""

    stream: str
    call: str
    """The provider's id of the call."""
    token: str
    encoding: G711


@dataclass(frozen=True, slots=True)
class StreamMedia:
    """Sound of the caller."""

    payload: bytes
    chunk: int | None
    """Its number, from 1; None: the sender does not count."""


@dataclass(frozen=True, slots=True)
class StreamMark:
    """The sound before this mark was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamKey:
    digit: str


@dataclass(frozen=True, slots=True)
class StreamStop:
    """The call is over, or its media stream was stopped."""


StreamMessage = StreamStart | StreamMedia | StreamMark | StreamKey | StreamStop


def read_message(text: str) -> StreamMessage | None:
    """The message; None: one that says nothing to us, as `connected`. Raises InputError with its field."""
    if len(text) > LONGEST:
        raise InputError(f"a message has at most {LONGEST} characters", field="message")
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError("the message is not JSON", field="message") from error
    if not isinstance(raw, dict):
        raise InputError("the message is no object", field="message")
    match raw.get("event"):
        case "media":
            return _media(_part(raw, "media"))
        case "start":
            return _start(raw, _part(raw, "start"))
        case "mark":
            return StreamMark(_text(_part(raw, "mark"), "name", "mark"))
        case "dtmf":
            return StreamKey(_text(_part(raw, "dtmf"), "digit", "dtmf"))
        case "stop":
            return StreamStop()
    return None


def _start(raw: dict[str, Any], start: dict[str, Any]) -> StreamStart:
    parameters = start.get("customParameters", start.get("custom_parameters"))
    if not isinstance(parameters, dict):
        raise InputError("the media stream has no token", field="start.customParameters.token")
    form = _part(start, "mediaFormat" if "mediaFormat" in start else "media_format", "start.")
    encoding = _ENCODINGS.get(str(form.get("encoding")))
    rate, channels = form.get("sampleRate", form.get("sample_rate")), form.get("channels", 1)
    if encoding is None or (rate, channels) != (8_000, 1):
        raise InputError("the sound is G.711 at 8000 Hz, mono", field="start.mediaFormat.encoding")
    named = "streamSid" if "streamSid" in raw else "stream_id"
    return StreamStart(
        stream=_text(raw, named, ""),
        call=_text(start, "callSid" if "callSid" in start else "call_control_id", "start"),
        token=_text(parameters, "token", "start.customParameters", longest=_TOKEN),
        encoding=encoding,
    )


def _media(media: dict[str, Any]) -> StreamMedia | None:
    if media.get("track", "inbound") != "inbound":
        return None
    payload, chunk = media.get("payload"), media.get("chunk")
    if not isinstance(payload, str):
        raise InputError("it is sound in base64", field="media.payload")
    try:
        sound = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("it is not base64", field="media.payload") from error
    number = str(chunk)
    return StreamMedia(sound, int(number) if is_digits(number) else None)


def _part(raw: dict[str, Any], name: str, within: str = "") -> dict[str, Any]:
    part = raw.get(name)
    if not isinstance(part, dict):
        raise InputError("it is an object", field=f"{within}{name}")
    return part


def _text(part: dict[str, Any], name: str, within: str, *, longest: int = _NAME) -> str:
    found = part.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= longest or not found.isprintable():
        raise InputError("it is a short text", field=f"{within}.{name}" if within else name)
    return found


def written(provider: TelephoneProvider, stream: str, event: str, **data: Any) -> str:
    """A message for the provider: `media`, `mark` or `clear`."""
    named = {"streamSid": stream} if provider == "twilio" else {}
    return orjson.dumps({"event": event, **named, **data}).decode()


def media(provider: TelephoneProvider, stream: str, payload: bytes) -> str:
    return written(provider, stream, "media", media={"payload": base64.b64encode(payload).decode()})


_BURST: Final = 512 * 1024
_PER_S: Final = 64 * 1024
"""Characters of messages per second, after the first `_BURST`: frames of 20 ms take 20,000."""


class MediaSocket:
    """Of one media stream, whose name `stream` is known once it has begun."""

    def __init__(self, socket: WebSocket, provider: TelephoneProvider, clock: Clock) -> None:
        self.stream = ""
        self._socket = socket
        self._provider: TelephoneProvider = provider
        self._clock = clock
        self._sending = anyio.Lock()
        self._read, self._began = 0, clock.monotonic()

    async def receive(self) -> StreamMessage | None:
        """The next message. Raises InputError, also where too much comes, or WebSocketDisconnect."""
        message = await self._socket.receive()  # not receive_text, which reads nothing after a failed send
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", GONE))
        text = message.get("text") or ""
        self._read += len(text)
        if self._read > _BURST + _PER_S * (self._clock.monotonic() - self._began):
            raise InputError("more comes than sound needs", field="media.payload")
        return read_message(text)

    async def send(self, kind: str, data: str | bytes) -> None:
        """Send `media` with its payload, `mark` with its name, or `clear`, whole. Raises TimeoutError.

        Does not return where the provider is gone: what came before, perhaps `stop`, is still to be read.
        """
        if isinstance(data, bytes):
            text = media(self._provider, self.stream, data)
        else:
            more: dict[str, Any] = {"mark": {"name": data}} if kind == "mark" else {}
            text = written(self._provider, self.stream, kind, **more)
        async with self._sending:
            try:
                await deliver(self._socket.send_text, text)
            except WebSocketDisconnect:
                await anyio.sleep_forever()

    async def close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            await deliver(self._socket.close, code)
