"""`@openai/agents-realtime` as npm brings it, in Chromium, over WebRTC to a server of ours: its bundle for
browsers, with another address."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.browser_microphone import CHROMIUM, YOUNG_MAN, browser_that_hears, record
from tests.clients.conftest import SAID
from tests.support.clients.openai_requests import SLOWLY
from tests.support.running_app import RunningApp

_BUNDLE: Final = Path(__file__).parent / "agents_realtime/node_modules/@openai/agents-realtime/dist/bundle"
_PATIENCE_MS: Final = 30_000
_PAGE: Final = """<!doctype html><title>An agent</title><script type="module">
  import { RealtimeAgent, RealtimeSession } from "/agents/openai-realtime-agents.mjs";
  Object.assign(window, { events: [], items: [], errors: [] });
  const made = await (await fetch("/v1/realtime/client_secrets", { method: "POST", body: "{}" })).json();
  const agent = new RealtimeAgent({ name: "Assistant", instructions: "Be brief." });
  const session = new RealtimeSession(agent, { model: "gpt-realtime" });
  session.transport.on("*", (event) => window.events.push(event));
  session.on("history_updated", (items) => { window.items = items; });
  session.on("error", (error) => window.errors.push(JSON.stringify(error)));
  await session.connect({ apiKey: made.value, url: `${location.origin}/v1/realtime/calls` });
  window.session = session;
</script>"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def test_an_agent_hears_answers_and_is_interrupted(
    scripted: RunningApp, chromium: Browser, tmp_path: Path
) -> None:
    if not _BUNDLE.is_dir():
        pytest.skip('@openai/agents-realtime is not installed: "make env-clients"')
    recording = record(tmp_path / "speech.wav", 1.0, YOUNG_MAN, 3.0)
    with browser_that_hears(chromium, recording) as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.route("**/agent", lambda route: route.fulfill(body=_PAGE, content_type="text/html"))
        page.route(
            "**/agents/*",
            lambda route: route.fulfill(
                path=_BUNDLE / route.request.url.rpartition("/")[2], content_type="text/javascript"
            ),
        )
        page.goto(f"{scripted.url}/agent")

        def until(kind: str, count: int = 1) -> None:
            page.wait_for_function(
                "([kind, count]) => window.events.filter((event) => event.type === kind).length >= count",
                arg=[kind, count],
                timeout=_PATIENCE_MS,
            )

        until("output_audio_buffer.stopped")
        items: list[dict[str, Any]] = page.evaluate("window.items")
        assert [(item["role"], item["content"][0]["transcript"]) for item in items] == [
            ("user", SAID),
            ("assistant", SLOWLY),
        ]
        page.evaluate("window.session.sendMessage('And again.')")
        until("output_audio_buffer.started", 2)
        page.evaluate("window.session.interrupt()")
        until("output_audio_buffer.cleared")
        until("conversation.item.truncated")
        assert page.evaluate("window.errors") == []
        page.evaluate("window.session.close()")
