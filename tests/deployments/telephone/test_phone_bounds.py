"""Calls that are refused, and media streams that are cut off."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as Xml

import anyio
import httpx
import pytest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deployments.faces.telephone import telephone_routes
from deployments.faces.telephone.telephone_routes import twilio_signature
from deployments.web.body_limits import SIGNED_BYTES, BodyLimit
from pipeline.apps import phone_calls
from schemas.ids import SessionId
from schemas.settings.limit_settings import TelephoneSettings
from tests.deployments.telephone.conftest import phone_settings
from tests.deployments.telephone.phone_provider import AUTH_TOKEN, PUBLIC, TELNYX_KEY, PhoneProvider, calling
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
TWILIO = "/v1/telephone/twilio"
TELNYX = "/v1/telephone/telnyx"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Takes one call at a time, of half a second."""
    home = tmp_path_factory.mktemp("strict")
    bounds = {"calls": 1, "call_s": 1.0, "start_s": 0.3, "idle_s": 0.3, "greeting": "", "reconnections": 1}
    with running_app(phone_settings(home, **bounds)) as running:
        yield running


async def token_of(app: RunningApp, provider: PhoneProvider) -> str:
    """A token for a media stream that nobody has connected."""
    answer = Xml.fromstring(await provider.webhook(f"/v1/telephone/{provider.kind}/voice"))
    return answer[0][0][0].attrib["value"]


@asynccontextmanager
async def stream(app: RunningApp, signature: str | None = None) -> AsyncGenerator[ClientConnection, None]:
    url = f"{PUBLIC.replace('https', 'wss')}{TWILIO}/stream"
    made = twilio_signature(AUTH_TOKEN, url) if signature is None else signature
    async with connect(
        f"{app.ws_url}{TWILIO}/stream", additional_headers={"x-twilio-signature": made}
    ) as socket:
        yield socket


def start(token: str, call: str, **changes: Any) -> str:
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    about = {"callSid": call, "mediaFormat": form, "customParameters": {"token": token}, **changes}
    return json.dumps({"event": "start", "streamSid": "MZ1", "start": about})


async def close_code(socket: ClientConnection) -> int:
    with anyio.fail_after(30):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code or 0


async def test_a_webhook_without_a_good_signature_is_refused(app: RunningApp) -> None:
    form = {"CallSid": "CA1", "From": "+15550001"}
    for kind, path in (("twilio", TWILIO), ("telnyx", TELNYX)):
        provider = PhoneProvider([app], kind=kind)
        good = await provider.post(f"{path}/voice", form)
        wrong = await provider.post(f"{path}/voice", form, signature="c2lnbmF0dXJl")
        assert (good.status_code, wrong.status_code) == (200, 403)
        assert wrong.json()["code"] == "auth.forbidden"
        assert good.headers["content-type"] == "application/xml"


async def test_a_signature_is_for_one_address_and_one_form(app: RunningApp) -> None:
    form = {"CallSid": "CA1", "From": "+15550001"}
    signed = twilio_signature(AUTH_TOKEN, f"{PUBLIC}{TWILIO}/voice", list(form.items()))
    provider = PhoneProvider([app])
    other = await provider.post(f"{TWILIO}/voice", {**form, "From": "+15550009"}, signature=signed)
    elsewhere = await provider.post(f"{TWILIO}/voice?attempt=1", form, signature=signed)
    assert (other.status_code, elsewhere.status_code) == (403, 403)


@pytest.mark.parametrize("late_s", [-400, 400])
async def test_an_old_webhook_of_telnyx_is_refused(app: RunningApp, late_s: int) -> None:
    body, then = urlencode({"CallSid": "CA1"}).encode(), str(int(time.time()) + late_s)
    signature = base64.b64encode(TELNYX_KEY.sign(f"{then}|".encode() + body)).decode()
    headers = {"telnyx-timestamp": then, "telnyx-signature-ed25519": signature}
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        assert (await http.post(f"{TELNYX}/voice", content=body, headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"From=%2B15550001", 422, "CallSid"),
        (b"CallSid=" + b"x" * 200, 422, "CallSid"),
        (b"CallSid=%00", 422, "CallSid"),
        (b"\xff\xfe", 422, "body"),
        (b"&".join(b"a=1" for _ in range(300)), 422, "body"),
        (b"CallSid=CA1&a=" + b"x" * 70_000, 413, "body"),
    ],
)
async def test_a_wrong_form_is_refused_with_the_name_of_the_field(
    app: RunningApp, body: bytes, status: int, field: str
) -> None:
    now = str(int(time.time()))
    signature = base64.b64encode(TELNYX_KEY.sign(f"{now}|".encode() + body)).decode()
    headers = {"telnyx-timestamp": now, "telnyx-signature-ed25519": signature}
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.post(f"{TELNYX}/voice", content=body, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


async def test_without_a_secret_calls_are_taken_from_loopback_only_where_that_is_set(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"CallSid": "CA1"}
    home = tmp_path_factory.mktemp("unset")
    with running_app(scripted_settings(home)) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            for name, key in (("twilio", "twilio_auth_token"), ("telnyx", "telnyx_public_key")):
                refused = await http.post(f"/v1/telephone/{name}/voice", data=form)
                assert (refused.status_code, key in refused.json()["detail"]) == (403, True)
    with running_app(scripted_settings(home, gateway={"telephone": {"insecure": True}})) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            taken = await http.post(f"{TWILIO}/voice", data=form)
            assert Xml.fromstring(taken.text)[0][0].attrib["url"] == f"{app.ws_url}{TWILIO}/stream"
            for headers in ({"host": "voice.example.com"}, {"origin": app.url}):
                refused = await http.post(f"{TWILIO}/voice", data=form, headers=headers)
                assert refused.status_code == 403
            monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")  # whose address every caller seems to have
            for path in (f"{TWILIO}/voice", "/v1/sessions"):
                assert (await http.post(path, data=form)).status_code == 403


async def test_a_media_stream_without_a_good_signature_is_closed(app: RunningApp) -> None:
    async with stream(app, signature="c2lnbmF0dXJl") as socket:
        assert await close_code(socket) == 4403


async def test_a_token_is_good_for_one_media_stream_of_its_call(app: RunningApp) -> None:
    provider = PhoneProvider([app])
    token = await token_of(app, provider)
    async with stream(app) as other:
        await other.send(start(token, "CA2"))
        assert await close_code(other) == 1008
    async with stream(app) as first, stream(app) as second:
        await first.send(start(token, provider.call))
        await asyncio.wait_for(first.recv(), 30)  # the greeting
        await second.send(start(token, provider.call))
        assert await close_code(second) == 1008
        assert first.close_code is None


@pytest.mark.parametrize(
    "caller",
    ["+15550001", f"sip:{'keeper' * 8}@example.com", "\u706f" * 64, "\x1b[31m+15550001\x00"],
    ids=len,
)
async def test_a_token_is_short_enough_for_a_parameter_of_the_provider(app: RunningApp, caller: str) -> None:
    provider = PhoneProvider([app])
    form = {"CallSid": provider.call, "From": caller, "To": caller}
    answer = Xml.fromstring(await provider.webhook(f"{TWILIO}/voice", fields=form))
    assert len("token") + len(answer[0][0][0].attrib["value"]) < 500


async def test_a_call_that_is_hung_up_while_its_media_stream_begins_is_over(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.services is not None
    phones, sessions = app.services.phone_calls, app.services.sessions
    attend = sessions.attend

    async def late(session: SessionId) -> Any:
        conversation, _ = await sessions.view(session)
        assert conversation.phone is not None
        await phones.hung_up(session, conversation.phone.call)
        return await attend(session)

    monkeypatch.setattr(sessions, "attend", late)
    provider = PhoneProvider([app])
    with anyio.fail_after(20):
        await provider.run()
    assert provider.verbs[-1] == "Hangup"


async def test_a_token_of_something_else_is_no_token_of_a_call(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        secret = (await http.post("/v1/realtime/client_secrets", json={})).json()["value"]
    for token in (secret, secret.removeprefix("ek_"), "token", "a.b.c"):
        async with stream(app) as socket:
            await socket.send(start(token, "CA1"))
            assert await close_code(socket) == 1008


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "[]",
        '"start"',
        '{"event": "start"}',
        '{"event": "start", "start": {"customParameters": []}}',
        '{"event": "media", "media": {"payload": "????"}}',
        '{"event": "media", "media": {"payload": 7}}',
        '{"event": "mark", "mark": {"name": 7}}',
        '{"event": "dtmf"}',
        '{"event": "stop"}',
        start("token", "CA1", mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}),
        start("token", "CA1", mediaFormat={"encoding": "L16", "sampleRate": 8000, "channels": 1}),
        start("x" * 3_000, "CA1"),
        start("token", "C" * 300),
        "x" * 70_000,
    ],
)
async def test_a_media_stream_that_does_not_begin_as_documented_is_closed(
    app: RunningApp, message: str
) -> None:
    async with stream(app) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await socket.send(message)
        assert await close_code(socket) == 1008


async def test_a_media_stream_that_never_starts_is_closed(strict: RunningApp) -> None:
    async with stream(strict) as socket:
        await socket.send(json.dumps({"event": "connected"}))
        assert await close_code(socket) == 1008


async def test_a_media_stream_from_which_nothing_comes_is_closed(strict: RunningApp) -> None:
    provider = PhoneProvider([strict])
    token = await token_of(strict, provider)
    async with stream(strict) as socket:
        await socket.send(start(token, provider.call))
        assert await close_code(socket) == 1008


async def test_a_media_stream_that_sends_more_than_sound_is_closed(app: RunningApp) -> None:
    provider = PhoneProvider([app])
    token = await token_of(app, provider)
    sound = json.dumps({"event": "media", "media": {"payload": base64.b64encode(bytes(30_000)).decode()}})
    async with stream(app) as socket:
        await socket.send(start(token, provider.call))
        with anyio.fail_after(30):
            try:
                while True:
                    await socket.send(sound)
                    await asyncio.sleep(0)
            except ConnectionClosed:
                assert socket.close_code == 1008


async def test_streams_that_do_not_begin_keep_no_call_away(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_calls, "_WAITING", 2)
    async with AsyncExitStack() as held:
        strangers = [
            await held.enter_async_context(connect(f"{app.ws_url}{TELNYX}/stream"))
            for _ in range(3)  # without a signature, as Telnyx sends none with a media stream
        ]
        assert await close_code(strangers[0]) == 1008
        assert strangers[2].close_code is None
        for kind in ("telnyx", "twilio"):
            async with calling(app, kind=kind) as caller:
                await caller.connected()


async def test_no_more_of_an_unsigned_body_is_read_than_a_webhook_has() -> None:
    async def answer_call(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    read, told = 0, list[Message]()

    async def receive() -> Message:
        nonlocal read
        read += 16_384
        return {"type": "http.request", "body": bytes(16_384), "more_body": read < 1_000_000}

    async def send(message: Message) -> None:
        told.append(message)

    limit = BodyLimit(answer_call, limit=2_000_000, files=(), chat=())
    scope = {"type": "http", "method": "POST", "path": f"{TWILIO}/voice", "headers": [], "query_string": b""}
    await limit(scope, receive, send)
    assert (told[0]["status"], read) == (413, SIGNED_BYTES + 16_384)


async def answer_to_half_a_body(app: RunningApp, path: str) -> str:
    """The answer to a webhook whose sender never sends the rest."""
    place = urlsplit(app.url)
    assert place.hostname is not None
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
    )
    with anyio.fail_after(60):
        async with await anyio.connect_tcp(place.hostname, place.port or 80) as stream:
            await stream.send(f"{head}CallSid=".encode())
            told = b""
            with suppress(anyio.EndOfStream):
                while True:
                    told += await stream.receive()
    return told.decode()


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
async def test_no_body_is_read_of_a_provider_whose_calls_are_not_taken(tmp_path: Path, provider: str) -> None:
    with running_app(scripted_settings(tmp_path)) as app:
        told = await answer_to_half_a_body(app, f"/v1/telephone/{provider}/voice")
    assert told.startswith("HTTP/1.1 403 ")
    assert "is not set" in told


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telephone_routes, "_BODY_S", 0.05)
    told = await answer_to_half_a_body(app, f"{TWILIO}/voice")
    assert told.startswith("HTTP/1.1 422 ")
    assert "did not arrive" in told


async def test_one_more_call_hears_that_the_line_is_busy(strict: RunningApp) -> None:
    async with calling(strict) as first:
        await first.connected()
        async with calling(strict) as second:
            await eventually(lambda: second.verbs == ["Reject"])


async def test_a_call_that_takes_too_long_is_hung_up(strict: RunningApp) -> None:
    async with calling(strict) as caller:
        await caller.connected()
        await caller.event("call.hung_up")
        await eventually(lambda: caller.verbs == ["Connect", "Redirect", "Hangup"])


async def test_a_call_is_not_connected_again_for_ever(app: RunningApp) -> None:
    provider = PhoneProvider([app])
    answer = Xml.fromstring(await provider.webhook(f"{TWILIO}/voice"))
    again = (answer[1].text or "").removeprefix(PUBLIC)
    for _ in range(20):
        answer = Xml.fromstring(await provider.webhook(again))
        if answer[0].tag == "Hangup":
            break
        again = (answer[-1].text or "").removeprefix(PUBLIC)
    assert [verb.tag for verb in answer] == ["Hangup"]


@pytest.mark.parametrize("session", ["", "x", "019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e12"])
async def test_a_call_of_no_session_is_hung_up(app: RunningApp, session: str) -> None:
    answer = Xml.fromstring(await PhoneProvider([app]).webhook(f"{TWILIO}/voice?session_id={session}"))
    assert [verb.tag for verb in answer] == ["Hangup"]


async def test_a_later_media_stream_of_a_call_replaces_the_earlier_one(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.connected()
        again = f"{TWILIO}/voice?session_id={caller.session}&attempt=1"
        answer = Xml.fromstring(await caller.webhook(again))
        token = answer[1][0][0].attrib["value"]
        first = caller.last_stream
        assert first is not None
        async with stream(app) as socket:
            await socket.send(start(token, caller.call))
            await eventually(lambda: first.close_code == 1000)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"twilio_auth_token": AUTH_TOKEN}, "public_url"),
        ({"twilio_auth_token": "short", "public_url": PUBLIC}, "twilio_auth_token"),
        ({"telnyx_public_key": "AAAA", "public_url": PUBLIC}, "telnyx_public_key"),
        ({"telnyx_public_key": "no key!", "public_url": PUBLIC}, "telnyx_public_key"),
        ({"public_url": "http://voice.example.com"}, "public_url"),
        ({"public_url": "https://me:secret@voice.example.com"}, "public_url"),
        ({"transfer_to": {"keeper": "0900 <Sip>"}}, "transfer_to"),
        ({"calls": -1}, "calls"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        TelephoneSettings.model_validate(wrong)
