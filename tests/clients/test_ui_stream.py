"""`useChat` of `@ai-sdk/react`, as npm brings it, in Chromium against a server of ours."""

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.browser.browser_microphone import CHROMIUM
from tests.deployments.ui.conftest import CITED, OFFER, app, http, shelf
from tests.support.clients.openai_requests import SLOWLY, STORY
from tests.support.running_app import RunningApp

__all__ = ["app", "http", "shelf"]
_PAGE: Final = Path(__file__).parent / "ui_stream"
_ESBUILD: Final = _PAGE / "node_modules" / ".bin" / "esbuild"
_FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
_PATIENCE_MS: Final = 30_000

Open = Callable[..., Page]
pytestmark = pytest.mark.timeout(180)
expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not _ESBUILD.exists():
        pytest.skip('the AI SDK is not installed: "make env-clients"')
    made = tmp_path_factory.mktemp("bundle") / "page.js"
    options = ["--bundle", "--format=esm", "--jsx=automatic", "--log-level=warning", f"--outfile={made}"]
    subprocess.run([_ESBUILD, "page.jsx", *options], cwd=_PAGE, check=True, timeout=120)
    return made.read_text()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(app: RunningApp, chromium: Browser, bundle: str) -> Iterator[Open]:
    """Opens the page of a chat: under the server's own origin, as a site behind the same proxy would be."""
    context = chromium.new_context()
    html = '<!doctype html><div id="root"></div><script type="module" src="/chat.js"></script>'

    def serve(route: Route) -> None:
        script = route.request.url.endswith(".js")
        kind = "text/javascript" if script else "text/html"
        route.fulfill(content_type=f"{kind}; charset=utf-8", body=bundle if script else html)

    context.route(re.compile(rf"{re.escape(app.url)}/chat(\.js|\?.*)"), serve)

    def opened(chat: str, *, audio: str = "none", settings: Any = None) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        query = {"chat": chat, "audio": audio} | ({"settings": json.dumps(settings)} if settings else {})
        page.goto(f"{app.url}/chat?{urlencode(query)}")
        return page

    yield opened
    context.close()


def new_chat() -> str:
    return uuid.uuid4().hex[:16]


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox").fill(text)
    page.get_by_role("button", name="Send").click()


def ready(page: Page) -> None:
    expect(page.locator("main[data-status=ready]")).to_be_visible()


def test_an_answer_streams_and_the_next_one_follows_it(visit: Open) -> None:
    page = visit(new_chat())
    send(page, "A story, please.")
    expect(page.locator(".assistant .text")).to_have_text(STORY)
    ready(page)
    send(page, "And an echo?")
    expect(page.locator(".assistant .text").nth(1)).to_have_text("Yes.")
    page.get_by_role("button", name="Again").click()
    ready(page)
    expect(page.locator(".assistant .text")).to_have_text([STORY, "Yes."])


def test_a_page_that_is_loaded_anew_in_mid_answer_shows_all_of_it_once(visit: Open) -> None:
    page = visit(new_chat())
    send(page, "Tell it slowly.")
    expect(page.locator(".assistant .text")).to_contain_text("the great lamp")
    page.reload()
    expect(page.locator("main[data-status=streaming]")).to_be_visible()
    expect(page.locator(".user")).to_have_text(["Tell it slowly."])
    ready(page)
    expect(page.locator(".assistant .text")).to_have_text([SLOWLY * 4])


def test_stop_ends_the_answer_here_and_there(visit: Open, http: Any) -> None:
    chat = new_chat()
    page = visit(chat)
    send(page, "Tell it slowly.")
    expect(page.locator(".assistant .text")).to_contain_text("lighthouse")
    page.get_by_role("button", name="Stop").click()
    ready(page)
    page.reload()
    ready(page)
    shown = page.locator(".assistant .text").inner_text()
    assert len(shown) < len(SLOWLY * 4)
    assert http.get(f"/v1/ui/chat/{chat}/stream").status_code == 204


def test_citations_are_shown_and_open_their_passage(visit: Open, shelf: str, http: Any) -> None:
    settings = {"collections": [shelf], "search": {"strategy": "keyword", "top_k": 2}}
    page = visit(new_chat(), settings=settings)
    send(page, "When was the lighthouse lit?")
    expect(page.locator(".assistant .text")).to_have_text(CITED)
    address = page.locator(".assistant a.source").get_attribute("href")
    assert "1908" in http.get(address).text
    expect(page.locator(".assistant .document")).to_contain_text("text/markdown")


def test_calls_of_the_server_and_of_the_page_are_parts_with_their_outputs(visit: Open) -> None:
    page = visit(new_chat(), settings={"tools": {"registered": ["tides"], "functions": [OFFER]}})
    send(page, "Tell me the tides.")
    tool = page.locator(".assistant .tool[data-state=output-available]")
    expect(tool).to_have_text('"Oslo: 04:12 and 16:40"')
    ready(page)
    send(page, "And the weather?")
    expect(tool.nth(1)).to_have_text('{"celsius":7}')
    expect(page.locator(".assistant").nth(1)).to_contain_text("Take an umbrella.")
    ready(page)
    expect(page.locator(".assistant")).to_have_count(2)
    page.reload()
    expect(tool).to_have_text(['"Oslo: 04:12 and 16:40"', '{"celsius":7}'])


def test_the_answer_is_heard(visit: Open) -> None:
    page = visit(new_chat(), audio="pcm16")
    send(page, "An echo, please.")
    ready(page)
    page.wait_for_function("played.ms > 0 && played.finished.length && played.peak > 0.01")
    expect(page.locator(".assistant audio")).to_have_count(1)
    address = page.locator(".assistant audio").get_attribute("src")
    length = page.evaluate(
        """async (address) => {
            const file = await (await fetch(address)).arrayBuffer();
            return (await new OfflineAudioContext(1, 1, 24000).decodeAudioData(file)).duration * 1000;
        }""",
        address,
    )
    assert abs(page.evaluate("played.ms") - length) < 100


def test_a_failure_is_shown_with_its_code(visit: Open) -> None:
    page = visit(new_chat())
    send(page, "Please break off.")
    expect(page.locator("#error")).to_contain_text("engine.")
