"""A first visit over a slow line: few requests, nothing typed is lost, the page answers."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""Milliseconds, and bytes in a second."""
BEFORE_IT_IS_USABLE = 2
"""The page with its style in it, and its script."""


WITHOUT_TLS = "delete Crypto.prototype.randomUUID; delete Navigator.prototype.clipboard;"
"""Browsers keep these from pages of another machine that come without TLS."""


def test_a_page_without_tls_asks_and_hears(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page("/web/icon.svg")
    reader.page.add_init_script(WITHOUT_TLS)
    reader.page.goto(app.url)
    reader.ask("briefly")
    reader.status_is("completed")
    expect(reader.page.get_by_role("article")).to_contain_text("The fox slept by the stove all night.")
    assert reader.mistakes == []


def test_over_a_slow_line_two_requests_make_the_page_usable_and_keep_what_was_typed(
    open_page: OpenPage, app: RunningApp, record_property: Callable[[str, object], None]
) -> None:
    reader = open_page("/web/icon.svg")
    page = reader.page
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", SLOW)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    begun = time.monotonic()
    page.goto(app.url, wait_until="commit")
    page.locator("#text").press_sequentially("tell me brie")
    expect(page.locator("#suggestions li").first).to_be_visible()
    shown_s = time.monotonic() - begun
    page.locator("#send:enabled").wait_for()  # by the script
    usable_s = time.monotonic() - begun
    record_property("usable_s", round(usable_s, 2))
    print(f"shown after {shown_s:.2f} s, usable after {usable_s:.2f} s")
    files = [url for url in asked if "/web/" in url or url.endswith("/")]
    assert [url.rsplit("/", 1)[1] for url in files[:BEFORE_IT_IS_USABLE]] == ["", "app.js"]
    expect(page.locator("#text")).to_have_value("tell me brie")
    page.locator("#text").press_sequentially("fly")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("The fox slept by the stove all night.")
    assert reader.mistakes == []
