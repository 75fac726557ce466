"""Share links: made, listened with, taken back."""

import json
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.browser.conftest import SHORT
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture
def shared(open_page: OpenPage) -> tuple[Reader, str]:
    """Somebody who has shared a session, and the link."""
    reader = open_page(voice=False)
    reader.ask("briefly")
    reader.status_is("completed")
    reader.choose("Share")
    reader.page.get_by_label("For whom").fill("Ada")
    reader.page.get_by_role("button", name="Make a link").click()
    link = reader.page.get_by_role("textbox", name="The link")
    expect(link).to_be_visible()
    return reader, link.input_value()


def test_a_guest_listens_and_does_nothing_else(
    open_page: OpenPage, app: RunningApp, shared: tuple[Reader, str]
) -> None:
    host, link = shared
    guest = open_page(link)
    guest.status_is("completed")
    assert guest.answer == SHORT
    expect(guest.page.get_by_text("You are listening along")).to_be_visible()
    for part in ("#composer", "#sidebar", "#more", "#with", "#open-sidebar", "#developer-button"):
        expect(guest.page.locator(part)).not_to_be_visible()
    expect(guest.page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    assert guest.page.get_by_role("button", name="Retry").count() == 0
    asked = f"{app.url}/v1/sessions/{host.session}/turns"
    httpx.post(asked, json={"prompt": "a story"}, timeout=30).raise_for_status()
    guest.tap_if_asked()
    guest.hears(200)


def test_a_guest_whose_link_is_taken_back_sees_why_wherever_the_page_was_scrolled(
    open_page: OpenPage, shared: tuple[Reader, str]
) -> None:
    host, link = shared
    host.page.keyboard.press("Escape")
    host.ask("a story at length")
    guest = open_page(link, viewport={"width": 390, "height": 600}, voice=False)
    guest.wait("document.documentElement.scrollHeight > 1500")
    guest.page.mouse.wheel(0, 1_200)
    host.choose("Share")
    host.page.get_by_role("button", name="Revoke Ada").click()
    expect(guest.page.locator("#refusal")).to_be_in_viewport()


def test_a_refusal_that_comes_with_the_last_words_stays_in_sight(
    open_page: OpenPage, shared: tuple[Reader, str]
) -> None:
    host, link = shared
    host.page.keyboard.press("Escape")
    guest = open_page("/web/icon.svg", viewport={"width": 320, "height": 256}, voice=False)

    def cut(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        written = 0

        def passed_on(message: str | bytes) -> None:
            nonlocal written
            socket.send(message)
            event = json.loads(message)
            written += len(event["data"]["text"]) if event["type"] == "text.delta" else 0
            if written >= len(SHORT) + 150:
                socket.close(code=4403, reason="This link was revoked.")

        server.on_message(passed_on)

    guest.page.route_web_socket("**/stream?*audio=none*", cut)
    guest.page.goto(link)
    host.ask("a story")
    guest.wait("document.querySelector('.turn:last-child .prose')?.textContent.length >= 150")
    expect(guest.page.locator("#refusal")).to_be_visible()
    guest.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(guest.page.locator("#refusal")).to_be_in_viewport()


def test_a_link_that_was_taken_back_opens_nothing(open_page: OpenPage, shared: tuple[Reader, str]) -> None:
    host, link = shared
    host.page.get_by_role("button", name="Revoke Ada").click()
    expect(host.page.get_by_role("button", name="Revoke Ada")).to_have_count(0)
    guest = open_page(link)
    guest.page.locator("#refusal").wait_for()
    assert guest.page.locator(".turn").count() == 0
