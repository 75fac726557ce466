"""A first visit over a slow line: few requests, nothing typed or pressed is lost, the page answers."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""Milliseconds, and bytes in a second."""
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


def slow_line(page: Page) -> None:
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", SLOW)


@pytest.mark.parametrize(
    ("locale", "loaded"),
    [
        ("en-GB", ["", "app.js", "soon.part.js"]),
        ("de-CH", ["", "app.js", "de.js", "de.later.js", "refusal-words.part.js", "soon.part.js"]),
    ],
)
def test_over_a_slow_line_the_page_and_its_script_are_usable_and_keep_what_was_typed(
    open_page: OpenPage,
    app: RunningApp,
    record_property: Callable[[str, object], None],
    locale: str,
    loaded: list[str],
) -> None:
    reader = open_page("/web/icon.svg", locale=locale)
    page = reader.page
    slow_line(page)
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
    files = [url.rsplit("/", 1)[1] for url in asked if "/web/" in url or url.endswith("/")]
    assert files[: len(loaded)] == loaded
    expect(page.locator("#text")).to_have_value("tell me brie")
    page.locator("#text").press_sequentially("fly")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_contain_text("The fox slept by the stove all night.")
    assert reader.mistakes == []


def test_a_press_counts_before_its_part_of_the_page_has_come(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page("/web/icon.svg", viewport={"width": 390, "height": 844})
    held: list[Route] = []
    reader.page.route("**/soon.part.js*", lambda route: held.append(route))
    reader.page.goto(app.url)
    reader.page.locator("#text").fill("briefly")
    reader.page.locator("#send:enabled").wait_for()
    reader.page.get_by_role("button", name="Places and history").click()
    expect(reader.page.get_by_role("link", name="New chat")).to_be_hidden()
    held[0].continue_()
    expect(reader.page.get_by_role("link", name="New chat")).to_be_visible()
    reader.page.keyboard.press("Escape")
    reader.page.locator("#send").click()
    expect(reader.page.get_by_role("article")).to_contain_text("The fox slept by the stove all night.")
    assert reader.mistakes == []


def test_a_panel_that_is_opened_before_the_script_has_come_is_filled_by_it(open_page: OpenPage) -> None:
    page = open_page().page
    held: list[Route] = []
    page.route("**/app.js", lambda route: held.append(route))
    page.goto(page.url, wait_until="commit")
    page.locator("#with").click()
    expect(page.locator("#with-panel")).to_be_visible()
    expect(page.locator("#with-panel")).to_be_empty()
    held[0].continue_()
    expect(page.locator("#with-panel").get_by_label("Character")).to_be_visible()
