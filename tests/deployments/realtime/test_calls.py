"""Calls over WebRTC, with aiortc as the caller: the session of a WebSocket, and its sound on a track."""

import asyncio
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.engines.routed_speaker import PACKET_MS
from tests.deployments.realtime.call_client import LIMIT_S, Caller, calling
from tests.deployments.realtime.conftest import ANSWER, SLOWLY
from tests.deployments.realtime.realtime_client import client, plain
from tests.deployments.realtime.realtime_sound import silence, speech
from tests.deployments.realtime.test_realtime_functions import WEATHER
from tests.support.clients.access_people import People, settings_at
from tests.support.clients.access_people import client as http_client
from tests.support.eventually import eventually
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
ENDS = ("output_audio_buffer.started", "output_audio_buffer.stopped", "output_audio_buffer.cleared")


def said(caller: Caller) -> str:
    return "".join(event["delta"] for event in caller.told("response.output_audio_transcript.delta"))


def buffer_events(caller: Caller) -> list[str]:
    return [event["type"].rpartition(".")[2] for event in caller.events if event["type"] in ENDS]


def lossy(caller: Caller, rate: float) -> None:
    """Of all that the caller sends and receives from now on, such a part is lost."""
    lots = random.Random(7)
    for protocol in caller.peer.sctp.transport.transport._connection._protocols:  # type: ignore[union-attr]
        send, take = protocol.send_data, protocol.datagram_received

        async def sending(data: bytes, where: Any, send: Any = send) -> None:
            if lots.random() >= rate:
                await send(data, where)

        def taking(data: bytes, where: Any, take: Any = take) -> None:
            if lots.random() >= rate:
                take(data, where)

        protocol.send_data, protocol.datagram_received = sending, taking


async def test_a_call_is_told_what_a_websocket_is_told_and_hears_the_sound(app: RunningApp) -> None:
    async with (
        calling(app, model="gpt-realtime") as caller,
        client(app, session_id=caller.session["id"]) as beside,
    ):
        await caller.say("Who comes by?")
        await caller.event("output_audio_buffer.stopped")
        await beside.event("response.done")
        shared = [event for event in plain(beside.events) if event["type"] != "response.output_audio.delta"]
        assert plain(caller.events) == shared
        assert said(caller) == ANSWER
        assert buffer_events(caller) == ["started", "stopped"]
        sounding_ms = len(beside.sound()) // 48
        heard = caller.loud()
        # A hum for each word and silence between them; the track was quiet before, and is afterwards.
        first, last = heard.index(True), len(heard) - 1 - heard[::-1].index(True)
        assert abs((last - first + 1) * PACKET_MS - sounding_ms) <= 200
        assert [event["audio_ms"] for event in caller.told("output_audio_buffer.position")][-1] == sounding_ms


async def test_a_form_brings_the_offer_and_the_configuration(app: RunningApp) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
    async with calling(app, form={"session": json.dumps(session)}) as caller:
        assert caller.session["instructions"] == "Be brief."
        assert caller.location.startswith("/v1/realtime/calls/rtc_")


async def test_a_caller_is_understood_and_interrupts_an_answer_by_speech(app: RunningApp) -> None:
    async with calling(app) as caller:
        caller.microphone.say(silence(300) + speech() + silence(1_500))
        await caller.event("output_audio_buffer.stopped")
        assert said(caller) == ANSWER
        await caller.say("for ever")
        await caller.event("output_audio_buffer.started", count=2)
        await caller.event("output_audio_buffer.position", count=30)
        caller.microphone.say(speech() + silence(1_500))
        await caller.event("output_audio_buffer.cleared")
        done = [event["response"] for event in caller.told("response.done")]
        cut = await caller.event("conversation.item.truncated")
        told = caller.told("output_audio_buffer.position")
        told = [event for event in told if event["item_id"] == cut["item_id"]]
        assert 0 <= told[-1]["audio_ms"] - cut["audio_end_ms"] < 200
        await caller.event("response.done", count=len(done) + 1)
        assert buffer_events(caller)[:4] == ["started", "stopped", "started", "cleared"]


async def test_the_model_calls_a_function_of_the_caller(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.send("session.update", session={"type": "realtime", "tools": [WEATHER]})
        await caller.event("session.updated")
        await caller.say("How is the weather?")
        done = await caller.event("response.done")
        [call] = done["response"]["output"]
        assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Kiel"})
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "It rains."}
        await caller.send("conversation.item.create", item=result)
        await caller.send("response.create")
        await caller.event("output_audio_buffer.stopped")
        assert said(caller) == ANSWER
        assert any(caller.loud())


async def test_the_buffer_is_cleared_on_request(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.say("for ever")
        await caller.event("output_audio_buffer.position", count=2)
        await caller.send("response.cancel")
        await caller.send("output_audio_buffer.clear")
        cleared = await caller.event("output_audio_buffer.cleared")
        done = await caller.event("response.done")
        assert done["response"]["id"] == cleared["response_id"]
        assert done["response"]["status"] == "cancelled"
        await caller.event("conversation.item.truncated")
        sounding = sum(caller.loud())
        await eventually(lambda: len(caller.heard) > 20 and not any(caller.loud()[-2:]))
        assert sum(caller.loud()) - sounding <= 20, "what was on its way may still be heard"


async def test_a_call_through_a_network_that_loses_one_packet_in_twenty(app: RunningApp) -> None:
    async with calling(app) as caller:
        lossy(caller, 0.05)
        caller.microphone.say(silence(300) + speech() + silence(2_000))
        await caller.event("response.done")
        await caller.event("output_audio_buffer.stopped")
        assert said(caller) == ANSWER
        numbers = [event["sequence_number"] for event in caller.events]
        assert numbers == sorted(numbers)
        assert len(plain(caller.events)) == len({event["event_id"] for event in plain(caller.events)})
        began = caller.told("input_audio_buffer.speech_started")[0]["audio_start_ms"]
        ended = caller.told("input_audio_buffer.speech_stopped")[-1]["audio_end_ms"]
        length_ms = len(speech()) // 48
        assert abs(ended - began - length_ms) < 1_200, "what was lost became silence of the same length"


async def test_a_call_that_comes_back_goes_on_where_it_was(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.say("slowly")
        await caller.event("output_audio_buffer.position", count=10)
        session, number = caller.session["id"], caller.events[-1]["sequence_number"]
        at = caller.told("output_audio_buffer.position")[-1]
    async with calling(
        app, session_id=session, starting_after=number, audio_starting_after=at["audio_cursor"]
    ) as again:
        await again.event("output_audio_buffer.stopped")
        goes_on = again.told("output_audio_buffer.position")
        ms = [event["audio_ms"] for event in goes_on]
        assert at["audio_ms"] < ms[0] <= at["audio_ms"] + 200
        assert ms == sorted(set(ms))
        assert said(caller) + said(again) == SLOWLY
        assert not {event["event_id"] for event in plain(caller.events)} & {
            event["event_id"] for event in plain(again.events)
        }


async def test_a_call_is_hung_up_from_elsewhere_and_its_session_stays(app: RunningApp) -> None:
    async with calling(app) as caller, httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        async with client(app, call_id=caller.location.rpartition("/")[2]) as beside:
            assert beside.session["id"] == caller.session["id"]
        assert (await http.post(f"{caller.location}/hangup")).status_code == 200
        async with asyncio.timeout(10):
            await caller.closed.wait()
        assert (await caller.event("call.hung_up"))["call_id"] == caller.location.rpartition("/")[2]
        session = caller.session["id"]
        missing = await http.post(f"/v1/realtime/calls/rtc_{'0' * 36}_00000000/hangup")
        assert (missing.status_code, missing.json()["error"]["param"]) == (404, "call_id")
        longer = await http.post(f"/v1/realtime/calls/rtc_{session[5:]}_{'0' * 9}/hangup")
        assert (longer.status_code, longer.json()["error"]["param"]) == (404, "call_id")
        collection = (await http.post("/v1/collections", json={"name": "Lamps"})).json()["id"]
        other = await http.post(f"/v1/realtime/calls/rtc_{collection}_00000000/hangup")
        assert other.status_code == 409, other.text
    async with client(app, session_id=session) as still:
        await still.say("Who comes by?")


async def test_a_hang_up_that_was_lost_ends_the_call_that_is_made_again(app: RunningApp) -> None:
    async with calling(app) as caller:
        number, call = caller.events[-1]["sequence_number"], caller.location.rpartition("/")[2]
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        assert (await http.post(f"{caller.location}/hangup")).status_code == 200
    async with calling(app, call_id=call, starting_after=number) as again, asyncio.timeout(10):
        assert (await again.event("call.hung_up"))["call_id"] == again.location.rpartition("/")[2] != call
        await again.closed.wait()


async def offered(
    app: RunningApp, content: str | bytes, *, kind: str = "application/sdp", **query: Any
) -> Any:
    async with httpx.AsyncClient(base_url=app.url) as http:
        answer = await http.post(
            "/v1/realtime/calls", content=content, params=query, headers={"Content-Type": kind}
        )
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["param"]


async def test_a_wrong_offer_is_refused_with_a_reason_and_begins_no_session(app: RunningApp) -> None:
    caller = Caller()
    good = await caller.offer()
    await caller.leave()
    async with httpx.AsyncClient(base_url=app.url) as http:
        before = (await http.get("/v1/sessions")).json()
        assert await offered(app, "") == (400, "invalid_offer", "sdp")
        assert await offered(app, "v=0\r\nm=nonsense") == (400, "invalid_offer", "sdp")
        assert await offered(app, b"\xff\xfe") == (400, "invalid_value", "sdp")
        assert await offered(app, good.replace("m=audio", "m=video")) == (400, "invalid_offer", "sdp")
        no_channel = good[: good.index("m=application")].replace("BUNDLE 0 1", "BUNDLE 0")
        assert await offered(app, no_channel) == (400, "invalid_offer", "sdp")
        assert await offered(app, good.replace("opus", "speex")) == (400, "invalid_offer", "sdp")
        for line in ("a=mid:0", "a=sendrecv"):
            assert await offered(app, good.replace(line, "a=x")) == (400, "invalid_offer", "sdp")
        assert await offered(app, good.replace("BUNDLE 0", "BUNDLE x 0")) == (400, "invalid_offer", "sdp")
        sources = "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(1_000))
        codecs = "a=rtpmap:111 opus/48000/2\r\n" * 150 + "a=rtcp-fb:* a b\r\n" * 150
        for many in (sources, codecs):
            assert await offered(app, good + many) == (400, "invalid_offer", "sdp")
        assert await offered(app, good.replace("a=ice-pwd", "a=x-pwd")) == (400, "invalid_offer", "sdp")
        assert await offered(app, good + "a=x\r\n" * 20_000) == (413, "body.too_large", "sdp")
        assert await offered(app, good, kind="text/plain") == (400, "invalid_value", "content-type")
        slow = "multipart/form-data; boundary=b; charset=punycode"
        assert await offered(app, b"--b--\r\n", kind=slow) == (400, "invalid_value", "content-type")
        assert await offered(app, good, model="no such model") == (404, "model_not_found", "model")
        wrong = {"session_id": "sess_x"}
        assert await offered(app, good, **wrong) == (404, "session.not_found", "session_id")
        cursor = {"audio_starting_after": "7"}
        assert await offered(app, good, **cursor) == (400, "invalid_value", "audio_starting_after")
        assert (await http.get("/v1/sessions")).json() == before


@pytest.mark.parametrize("session", ["{", "1.5", "true", "null", "[]", '"{}"'])
async def test_a_session_that_is_no_object_is_refused(app: RunningApp, session: str) -> None:
    parts = {"sdp": (None, "v=0"), "session": (None, session)}
    async with httpx.AsyncClient(base_url=app.url) as http:
        answer = await http.post("/v1/realtime/calls", files=parts)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_json", "session")


async def test_sound_in_events_is_refused(app: RunningApp) -> None:
    async with calling(app) as caller:
        await caller.send("input_audio_buffer.append", audio="AAAA")
        assert (await caller.event("error"))["error"]["code"] == "unsupported_value"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[People, Path]:
    home = tmp_path_factory.mktemp("callers")
    return People.at(home), home


@pytest.fixture(scope="module")
def bounded(people: tuple[People, Path]) -> Iterator[RunningApp]:
    """A server with keys, one port, and room for one call of a principal."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    webrtc = {"calls": 2, "calls_per_principal": 1, "ports": (port, port + 20), "message_bytes": 4_000}
    settings = settings_at(people[1], language_model={"engine": "scripted"}, gateway={"webrtc": webrtc})
    with running_app(settings) as running:
        yield running


async def test_a_client_secret_opens_a_call_and_hangs_it_up(
    bounded: RunningApp, people: tuple[People, Path]
) -> None:
    wish = {"session": {"type": "realtime", "instructions": "Be brief."}}
    async with http_client(bounded, people[0].anna) as http:
        secret = (await http.post("/v1/realtime/client_secrets", json=wish)).json()["value"]
    async with calling(bounded, key=secret) as caller:
        await caller.say("x" * 4_000)
        assert (await caller.event("error"))["error"]["code"] == "event_too_large"
        assert caller.session["instructions"] == "Be brief."
        ports = bounded.settings.gateway.webrtc.ports
        candidates = [line for line in caller.peer.remoteDescription.sdp.splitlines() if "typ host" in line]
        assert ports is not None
        assert candidates
        assert all(line.split()[4] == "127.0.0.1" for line in candidates)
        assert all(ports[0] <= int(line.split()[5]) <= ports[1] for line in candidates)
        async with http_client(bounded, people[0].anna) as http:
            refused = await http.post(
                "/v1/realtime/calls",
                content=caller.peer.localDescription.sdp,
                headers={"Content-Type": "application/sdp"},
            )
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "limit.listeners")
        async with http_client(bounded, people[0].bob) as http:
            assert (await http.post(f"{caller.location}/hangup")).status_code == 404
        async with http_client(bounded, secret) as http:
            assert (await http.post(f"{caller.location}/hangup")).status_code == 200
        async with asyncio.timeout(10):
            await caller.closed.wait()


async def test_no_client_calls_without_a_credential(bounded: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=bounded.url) as http:
        assert (await http.post("/v1/realtime/calls", content="v=0")).status_code == 401


@pytest.mark.parametrize("how", ["killed", "drained"])
async def test_the_session_goes_on_at_another_gateway(tmp_path: Path, how: str) -> None:
    settings = scripted_settings(
        tmp_path,
        llm={"reply": SLOWLY * 2, "delta_chars": 6, "per_delta_ms": 4},
        session={"max_tokens": 4_000},
    )
    with Gateways(settings) as gateways:
        one, two = gateways.start(2)
        async with calling(one) as caller:
            await caller.say("Who comes by?")
            await caller.event("response.done")
            await caller.event("output_audio_buffer.position", count=10)
            session = caller.session["id"]
            if how == "killed":
                gateways.kill(one)
                broken = time.monotonic()
                await eventually(
                    lambda: caller.closed.is_set() or time.monotonic() - caller.heard_at[-1] > 1.0
                )
            else:
                gateways.terminate(one)
                broken = time.monotonic()
                async with asyncio.timeout(10):
                    await caller.closed.wait()
            at = caller.told("output_audio_buffer.position")[-1]
            number = caller.events[-1]["sequence_number"]
            noticed = time.monotonic()
            async with calling(
                two, session_id=session, starting_after=number, audio_starting_after=at["audio_cursor"]
            ) as again:
                await again.event("output_audio_buffer.position")
                await eventually(lambda: any(again.loud()))
                now = time.monotonic()
                print(f"{how}: noticed after {noticed - broken:.2f} s, sound after {now - broken:.2f} s")
                first = again.told("output_audio_buffer.position")[0]
                assert at["audio_ms"] < first["audio_ms"] <= at["audio_ms"] + 200
                assert plain(again.events) == []
