"""The example of docs/realtime.md in Chromium: the steps of the WebRTC example of OpenAI's documentation, at
another address."""

import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.browser_microphone import YOUNG_MAN, browser_that_hears, record
from tests.browser.page_reader import PATIENCE_MS
from tests.support.running_app import RunningApp

_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "realtime.md"
_STATS: Final = """async () => {
  const found = [...(await window.peer.getStats()).values()];
  return found.find((one) => one.type === "inbound-rtp");
}"""


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
    )
    found: list[dict[str, Any]] = page.evaluate("window.events")
    return found


def test_the_example_of_the_documents_hears_and_is_heard(
    app: RunningApp, chromium: Browser, tmp_path: Path
) -> None:
    recording = record(tmp_path / "speech.wav", 1.0, YOUNG_MAN, 3.0)

    def make_secret(route: Route) -> None:
        made = httpx.post(f"{app.url}/v1/realtime/client_secrets", json={}, timeout=30)
        route.fulfill(json=made.json())

    with browser_that_hears(chromium, recording) as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.route("**/my-server/client-secret", make_secret)
        page.route("**/example", lambda route: route.fulfill(body=example(app), content_type="text/html"))
        page.goto(f"{app.url}/example")
        until(page, "input_audio_buffer.committed")
        page.wait_for_function("window.peer.connectionState === 'connected'", timeout=PATIENCE_MS)
        until(page, "output_audio_buffer.position", 5)
        page.evaluate("""channel => window.channel.send('{"type": "response.cancel"}')""")
        page.evaluate("""channel => window.channel.send('{"type": "output_audio_buffer.clear"}')""")
        events = until(page, "output_audio_buffer.cleared")
        stats = page.evaluate(_STATS)
        page.evaluate("window.peer.close()")
    types = [event["type"] for event in events]
    assert types[0] == "session.created"
    assert types.index("output_audio_buffer.started") > types.index("response.created")
    assert "response.output_audio.delta" not in types
    assert stats["packetsReceived"] > 20, json.dumps(stats)
    assert stats["totalAudioEnergy"] > 0, json.dumps(stats)
