"""A telephone provider as Twilio and Telnyx document theirs: webhooks, markup, media streams of one call."""

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as Xml

import anyio
import httpx
import jwt
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect

from deployments.faces.telephone.telephone_routes import twilio_signature
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp

PUBLIC = "https://voice.example.com/voices"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
TELNYX_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TELNYX_PUBLIC = base64.b64encode(TELNYX_KEY.public_key().public_bytes_raw()).decode()
FRAME = 160
_numbers = itertools.count(1)


@dataclass
class PhoneProvider:
    """One call: `run` does what the server's markup says until the call is over."""

    apps: list[RunningApp]
    """Gateways behind the public address, the first one that answers is taken."""
    kind: str = "twilio"
    speed: float = 8.0
    """So much faster than time the sound is played."""
    codec: str = "PCMU"
    verbs: list[str] = field(default_factory=list)
    played: bytearray = field(default_factory=bytearray)
    cleared: list[int] = field(default_factory=list)
    """Bytes that were played before each `clear`."""
    marks: list[str] = field(default_factory=list)
    """Those that were returned."""
    starts: int = 0
    closed: list[int] = field(default_factory=list)
    dialed: str = ""
    returns_marks: bool = True
    pause_rate: float = 0.1
    """Part of a pause that is kept."""
    last_stream: ClientConnection | None = None

    def __post_init__(self) -> None:
        number = next(_numbers)
        self.call = f"CA{number:032x}"
        self._buffer: deque[bytes | str] = deque()
        self._says: deque[bytes] = deque()
        self._hung_up = asyncio.Event()
        self._chunk = 0
        self._tokens: list[str] = []

    @property
    def tokens(self) -> list[str]:
        """Of the media streams so far."""
        return self._tokens

    @property
    def session(self) -> str:
        claims = jwt.decode(self._tokens[0], options={"verify_signature": False})
        return str(claims["sub"])

    async def connected(self) -> "PhoneProvider":
        """Returns when the first media stream has begun."""
        await eventually(lambda: self.starts)
        return self

    async def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The session's events of these types, or all of them."""
        async with httpx.AsyncClient(timeout=30) as http:
            text = (
                await http.get(f"{self.apps[-1].url}/v1/sessions/{self.session}/events?follow=false")
            ).text
        found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        return [event for event in found if not kinds or event.get("type") in kinds]

    async def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The event of this type that comes as the `count`th."""
        path = f"{self.apps[-1].url}/v1/sessions/{self.session}/events"
        with anyio.fail_after(30):
            async with httpx.AsyncClient(timeout=30) as http, http.stream("GET", path) as answer:
                async for line in answer.aiter_lines():
                    event = json.loads(line[6:]) if line.startswith("data: ") else {}
                    count -= event.get("type") == kind
                    if not count:
                        return dict(event)
        raise AssertionError(f"the session ended without {kind}")

    # ------------------------------------------------------------ what the caller does

    def say(self, mulaw: bytes) -> None:
        self._says.extend(mulaw[at : at + FRAME] for at in range(0, len(mulaw), FRAME))

    async def press(self, digit: str) -> None:
        assert self.last_stream is not None
        await self._send("dtmf", dtmf={"digit": digit, "track": "inbound_track"})

    async def hang_up(self) -> None:
        self._hung_up.set()
        await self._send("stop", stop={"callSid": self.call, "accountSid": "AC1"})
        assert self.last_stream is not None
        await self.last_stream.close()

    # ------------------------------------------------------------ what the provider does

    async def run(self) -> None:
        answer = await self.webhook(f"/v1/telephone/{self.kind}/voice")
        while answer is not None:
            answer = await self._obey(Xml.fromstring(answer))

    async def webhook(
        self, path: str, *, signature: str | None = None, fields: dict[str, str] | None = None
    ) -> str:
        form = fields or {
            "CallSid": self.call,
            "From": "+15550001",
            "To": "+15550002",
            "CallStatus": "ringing",
        }
        response = await self.post(path, form, signature=signature)
        response.raise_for_status()
        return response.text

    async def post(self, path: str, form: dict[str, str], *, signature: str | None = None) -> httpx.Response:
        body = urlencode(form).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self.kind == "twilio":
            made = twilio_signature(AUTH_TOKEN, f"{PUBLIC}{path}", list(form.items()))
            headers["x-twilio-signature"] = made if signature is None else signature
        else:
            now = str(int(time.time()))
            made = base64.b64encode(TELNYX_KEY.sign(f"{now}|".encode() + body)).decode()
            headers |= {"telnyx-timestamp": now, "telnyx-signature-ed25519": signature or made}
        error: Exception | None = None
        for app in self.apps:
            try:
                async with httpx.AsyncClient(timeout=30) as http:
                    return await http.post(f"{app.url}{path}", content=body, headers=headers)
            except httpx.TransportError as broken:
                error = broken
        raise AssertionError("no gateway answers") from error

    async def _obey(self, response: Xml.Element) -> str | None:
        """Do one verb after the other; the next markup, if there is one."""
        for verb in response:
            self.verbs.append(verb.tag)
            match verb.tag:
                case "Connect":
                    stream = verb[0]
                    await self.stream(stream.attrib["url"], stream[0].attrib["value"])
                    if self._hung_up.is_set():
                        return None
                case "Pause":
                    await asyncio.sleep(float(verb.attrib["length"]) * self.pause_rate)
                case "Redirect":
                    path = (verb.text or "").removeprefix(PUBLIC)
                    return await self.webhook(path)
                case "Dial":
                    self.dialed = verb[0].text or ""
                    return None
                case "Hangup" | "Reject":
                    return None
        return None

    async def stream(
        self, url: str, token: str, *, call: str | None = None, signature: str | None = None
    ) -> None:
        """One media stream, until either side closes it."""
        self._tokens.append(token)
        path = url.replace("wss", "https", 1).removeprefix(PUBLIC)
        headers = {}
        if self.kind == "twilio":
            headers["x-twilio-signature"] = signature or twilio_signature(AUTH_TOKEN, url)
        for app in self.apps:
            with contextlib.suppress(OSError):
                async with connect(f"{app.ws_url}{path}", additional_headers=headers) as socket:
                    await self._streamed(socket, token, call or self.call)
                return
        raise AssertionError("no gateway answers")

    async def _streamed(self, socket: ClientConnection, token: str, call: str) -> None:
        self.last_stream, self._chunk = socket, 0
        self.starts += 1
        self._buffer.clear()
        self.stream_id = f"MZ{next(_numbers):032x}"
        with contextlib.suppress(websockets.ConnectionClosed):
            first = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
            await socket.send(json.dumps(first))
            await self._start(token, call)
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(one()) for one in (self._play, self._speak)]
                with contextlib.suppress(websockets.ConnectionClosed):
                    await self._take(socket)
                for task in beside:
                    task.cancel()
        self.closed.append(socket.close_code or 0)

    async def _start(self, token: str, call: str) -> None:
        if self.kind == "twilio":
            form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
            about = {
                "accountSid": "AC1",
                "callSid": call,
                "streamSid": self.stream_id,
                "tracks": ["inbound"],
                "mediaFormat": form,
                "customParameters": {"token": token},
            }
        else:
            about = {
                "call_control_id": f"v3:{call}",
                "user_id": "1",
                "media_format": {"encoding": self.codec, "sample_rate": 8000, "channels": 1},
                "custom_parameters": {"token": token},
            }
        await self._send("start", start=about)

    async def _take(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            if self.kind == "twilio":
                assert message["streamSid"] == self.stream_id
            match message["event"]:
                case "media":
                    payload = base64.b64decode(message["media"]["payload"])
                    assert len(payload) == FRAME
                    self._buffer.append(payload)
                case "mark":
                    self._buffer.append(message["mark"]["name"])
                case "clear":
                    self.cleared.append(len(self.played))
                    left = [one for one in self._buffer if isinstance(one, str)]
                    self._buffer.clear()
                    for name in left:
                        await self._mark(name)

    async def _play(self) -> None:
        while True:
            if not self._buffer:
                await asyncio.sleep(0.005)
                continue
            item = self._buffer.popleft()
            if isinstance(item, str):
                await self._mark(item)
            else:
                self.played += item
                await asyncio.sleep(0.02 / self.speed)

    async def _mark(self, name: str) -> None:
        self.marks.append(name)
        if self.returns_marks:
            await self._send("mark", mark={"name": name})

    async def _speak(self) -> None:
        """A frame every 20 ms, silence where the caller says nothing."""
        while True:
            frame = (
                self._says.popleft() if self._says else (b"\xff" if self.codec == "PCMU" else b"\xd5") * FRAME
            )
            self._chunk += 1
            media = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(20 * self._chunk)}
            await self._send("media", media={**media, "payload": base64.b64encode(frame).decode()})
            await asyncio.sleep(0.004)

    async def _send(self, event: str, **data: object) -> None:
        named = "streamSid" if self.kind == "twilio" else "stream_id"
        with contextlib.suppress(websockets.ConnectionClosed):
            assert self.last_stream is not None
            await self.last_stream.send(json.dumps({"event": event, named: self.stream_id, **data}))


@asynccontextmanager
async def calling(*apps: RunningApp, **about: object) -> AsyncGenerator[PhoneProvider, None]:
    """A call that goes on beside the block; its end is waited for no longer than the block lasts."""
    provider = PhoneProvider(list(apps), **about)  # type: ignore[arg-type]
    task = asyncio.create_task(provider.run())
    try:
        yield provider
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if provider.last_stream is not None:
            await provider.last_stream.close()
