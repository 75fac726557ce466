"""Calls over WebRTC in Chromium: the example of docs/realtime.md, whose steps are those of OpenAI's
documentation, and `Call` of the JavaScript library."""

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Page, Route
from websockets.sync.client import connect

from tests.browser import session_log
from tests.browser.browser_microphone import YOUNG_MAN, Hears, record
from tests.browser.network_cable import cable_to
from tests.browser.page_reader import LOOK_MS, PATIENCE_MS
from tests.deployments.realtime.realtime_client import plain
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, scripted_settings

_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "realtime.md"
_STATS: Final = """async (peer) => {
  const found = [...(await peer.getStats()).values()];
  return found.find((one) => one.type === "inbound-rtp");
}"""

_CALL: Final = """<!doctype html><title>A call</title><audio id="speaker" autoplay></audio>
<script type="module">
  import { Call, Rhapsode } from "/web/client/index.js";
  const speaker = document.getElementById("speaker");
  const [events, states] = [[], []];
  const call = new Call({
    connection: new Rhapsode(location.origin).connection,
    onEvent: (event) => events.push(event),
    onSound: (stream) => { speaker.srcObject = stream; },
    onState: (state) => states.push(state),
    onTrouble: (error) => states.push(error.message),
  });
  Object.assign(window, { call, events, states });
  call.start((await navigator.mediaDevices.getUserMedia({ audio: true })).getTracks()[0]);
</script>"""
_ASK: Final = """() => {
  const content = [{ type: "input_text", text: "Who comes by?" }];
  call.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  call.send({ type: "response.create" });
}"""
_POSITION: Final = "output_audio_buffer.position"
_TALE: Final = "The keeper lit the lamp, and the fox watched the sea. " * 4


def example(app: RunningApp) -> str:
    """A page with the example as it is written, and with what a site has around it."""
    found = re.search(r"```js\n(.*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found is not None
    script = found[1].replace("https://voice.example", app.url)
    assert script != found[1]
    return f"""<!doctype html><title>A call</title><audio id="speaker" autoplay></audio><script type="module">
      const speaker = document.getElementById("speaker");
      window.events = [];
      {script}
      Object.assign(window, {{ peer, channel }});
      channel.onmessage = (event) => window.events.push(JSON.parse(event.data));
    </script>"""


def until(page: Page, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """The events, once there are so many of this type."""
    page.wait_for_function(
        "([kind, count]) => window.events.filter((event) => event.type === kind).length >= count",
        arg=[kind, count],
        timeout=PATIENCE_MS,
        polling=LOOK_MS,
    )
    found: list[dict[str, Any]] = page.evaluate("window.events")
    return found


def test_the_example_of_the_documents_hears_and_is_heard(
    app: RunningApp, hears: Hears, tmp_path: Path
) -> None:
    recording = record(tmp_path / "speech.wav", 1.0, YOUNG_MAN, 3.0)

    def make_secret(route: Route) -> None:
        made = httpx.post(f"{app.url}/v1/realtime/client_secrets", json={}, timeout=30)
        route.fulfill(json=made.json())

    with closing(hears(recording).new_page()) as page:
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.route("**/my-server/client-secret", make_secret)
        page.route("**/example", lambda route: route.fulfill(body=example(app), content_type="text/html"))
        page.goto(f"{app.url}/example")
        until(page, "input_audio_buffer.committed")
        page.wait_for_function(
            "window.peer.connectionState === 'connected'", timeout=PATIENCE_MS, polling=LOOK_MS
        )
        until(page, "output_audio_buffer.position", 5)
        page.evaluate("""channel => window.channel.send('{"type": "response.cancel"}')""")
        page.evaluate("""channel => window.channel.send('{"type": "output_audio_buffer.clear"}')""")
        events = until(page, "output_audio_buffer.cleared")
        stats = page.evaluate(f"({_STATS})(peer)")
        page.evaluate("window.peer.close()")
    types = [event["type"] for event in events]
    assert types[0] == "session.created"
    assert types.index("output_audio_buffer.started") > types.index("response.created")
    assert "response.output_audio.delta" not in types
    assert stats["packetsReceived"] > 20, json.dumps(stats)
    assert stats["totalAudioEnergy"] > 0, json.dumps(stats)


def told_in_all(app: RunningApp, session: str) -> list[dict[str, Any]]:
    """Every event from the beginning of a session to the end of an answer, as the WebSocket tells them."""
    found: list[dict[str, Any]] = []
    with connect(f"{app.ws_url}/v1/realtime?session_id={session}&starting_after=0") as socket:
        while not found or found[-1]["type"] != "response.done":
            found.append(json.loads(socket.recv(timeout=30)))
    return plain(found)


def test_a_call_whose_gateway_is_killed_in_mid_answer_loses_and_doubles_nothing(
    hears: Hears, tmp_path: Path
) -> None:
    llm = {"reply": _TALE, "delta_chars": 6, "first_delta_ms": 300, "per_delta_ms": 40}
    settings = scripted_settings(tmp_path / "home", llm=llm, session={"max_tokens": 4_096})
    recording = record(tmp_path / "silence.wav", 1.0)
    with (
        Gateways(settings) as gateways,
        cable_to("http://127.0.0.1:1") as cable,
        closing(hears(recording).new_page()) as page,
    ):
        first, second = gateways.start(2)
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.route("**/call", lambda route: route.fulfill(body=_CALL, content_type="text/html"))
        cable.lead_to(first.url)
        page.goto(f"{cable.url}/call")
        until(page, "session.created")
        page.evaluate(_ASK)
        until(page, _POSITION)
        cable.lead_to(second.url)
        gateways.kill(first)
        broken = time.monotonic()
        page.wait_for_function("states.includes('reconnecting')", timeout=PATIENCE_MS, polling=LOOK_MS)
        before = sum(event["type"] == _POSITION for event in page.evaluate("events"))
        until(page, _POSITION, before + 1)
        print(f"sound after {time.monotonic() - broken:.2f} s")
        until(page, "output_audio_buffer.stopped")
        stats = page.evaluate(f"({_STATS})(call.peer)")
        session, call = page.evaluate("[call.session, call.id]")
        assert page.evaluate("states.slice(0, 4)") == ["connecting", "live", "reconnecting", "live"]
        assert httpx.post(f"{second.url}/v1/realtime/calls/{call}/hangup", timeout=30).status_code == 200
        page.wait_for_function("states.at(-1) === 'off'", timeout=PATIENCE_MS, polling=LOOK_MS)
        events = page.evaluate("events")
        logged = session_log.events(second.url, session)
        told = told_in_all(second, session)
    begun = events[0]["sequence_number"]
    assert plain(events) == [
        event
        for event in told
        if event["sequence_number"] > begun and event["type"] != "response.output_audio.delta"
    ]
    assert [event["type"] for event in events].count("session.created") == 1
    heard = [event["audio_ms"] for event in events if event["type"] == _POSITION]
    steps = [after - before for before, after in zip([0, *heard], heard, strict=False)]
    assert all(0 < step <= 200 for step in steps), heard
    chunks = [event["data"] for event in logged if event["type"] == "audio.chunk"]
    assert heard[-1] == chunks[-1]["at_ms"] + chunks[-1]["ms"]
    assert stats["totalAudioEnergy"] > 0, json.dumps(stats)
