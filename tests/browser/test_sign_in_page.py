"""At a server that asks who one is: a key opens the page, a share link opens one session."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from tests.browser.conftest import SHORT
from tests.browser.page_reader import Reader
from tests.browser.stories_page import scene, story_of, tell, written
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closed")


@pytest.fixture(scope="module")
def bobs(home: Path) -> str:
    key, _ = create_key(home / "keys.jsonl", "bob", now_ms=SystemClock().now_ms())
    return key


@pytest.fixture(scope="module")
def closed(home: Path, bobs: str) -> Iterator[tuple[RunningApp, str]]:
    """An application that knows Anna and Bob, and Anna's key."""
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    settings = scripted_settings(
        home, llm={"reply": SHORT, "delta_chars": 24, "per_delta_ms": 20}, tts={"ms_per_char": 30}
    )
    with running_app(settings, workers=True) as running:
        yield running, key


def sign_in(reader: Reader, key: str) -> None:
    dialog = reader.page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Your API key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()


def test_a_key_opens_the_page_and_a_link_one_story(
    open_page: OpenPage, closed: tuple[RunningApp, str]
) -> None:
    app, key = closed
    reader = open_page(f"{app.url}/?stories")
    sign_in(reader, "rk_wrong")
    alert = reader.page.get_by_role("dialog", name="Sign in").get_by_role("alert")
    expect(alert).to_have_text("This server does not know the key. Check it and try again.")
    sign_in(reader, key)
    expect(reader.page.get_by_text("No stories yet")).to_be_visible()
    reader.page.get_by_label("Title").fill("Mine")
    reader.page.get_by_role("button", name="Create story").click()
    story_of(reader)
    expect(reader.page.get_by_role("radio", name="Write and read aloud")).to_be_checked()
    tell(reader, "one evening", aloud=False)
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.hears(200)
    tell(reader, "another evening", aloud=True)
    written(reader, 2)
    expect(scene(reader, 2).get_by_role("button", name="Regenerate audio")).to_be_visible()
    reader.page.click("#more")
    menu = reader.page.locator("#menu")
    expect(menu.get_by_role("button", name="Copy link for yourself")).to_be_visible()
    menu.get_by_role("button", name="Share").click()
    reader.page.get_by_role("button", name="Make a link").click()
    link = reader.page.get_by_role("textbox", name="The link")
    expect(link).to_be_visible()
    guest = open_page(link.input_value())
    guest.status_is("completed")
    assert guest.answer == SHORT
    guest.page.get_by_role("button", name="Play", exact=True).click()
    guest.hears(200)
    expect(guest.page.get_by_role("dialog")).to_have_count(0)


def test_a_user_without_a_key_is_asked_for_one(open_page: OpenPage, closed: tuple[RunningApp, str]) -> None:
    app, _ = closed
    reader = open_page(app.url)
    expect(reader.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    for _ in range(2):
        reader.page.keyboard.press("Escape")
        expect(reader.page.get_by_role("dialog", name="Sign in")).to_have_count(0)
        reader.page.get_by_role("button", name="Sign in").click()
        expect(reader.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    reader.page.keyboard.press("Escape")
    expect(reader.page.get_by_role("heading", name="What would you like to hear?")).to_be_visible()
    reader.ask("a story")
    expect(reader.page.locator("#problem")).to_be_attached()
    expect(reader.page.get_by_role("dialog", name="Sign in")).to_be_visible()


TOKEN = "JSON.parse(localStorage.getItem('rhapsode:token'))"


def signed_in(reader: Reader, key: str) -> None:
    """And the page has begun anew, as it does then."""
    with reader.page.expect_navigation():
        sign_in(reader, key)


def spoil(reader: Reader, **changes: str) -> None:
    """As if the computer had slept until the token was over; `changes`: of what is kept beside it."""
    change = f"const kept = {{...{TOKEN}, ...changes}}; kept.token = kept.token.slice(0, -6) + 'AAAAAA';"
    write = "localStorage.setItem('rhapsode:token', JSON.stringify(kept));"
    reader.page.evaluate(f"(changes) => {{ {change} {write} }}", changes)


def nobody_is_asked(reader: Reader) -> None:
    expect(reader.page.get_by_role("dialog", name="Sign in")).to_have_count(0)


def test_a_token_that_is_over_is_renewed_without_asking(
    open_page: OpenPage, closed: tuple[RunningApp, str]
) -> None:
    app, key = closed
    reader = open_page(app.url, voice=False)
    signed_in(reader, key)
    expect(reader.page.get_by_role("heading", name="What would you like to hear?")).to_be_visible()
    spoil(reader)
    reader.ask("a story")
    reader.status_is("completed")
    spoil(reader)
    reader.page.reload()
    reader.status_is("completed")
    reader.ask("another story")
    reader.wait("document.querySelectorAll('[data-status=completed]').length === 2")
    nobody_is_asked(reader)
    assert key not in str(reader.page.evaluate("JSON.stringify([localStorage, sessionStorage])"))


def test_a_socket_that_is_refused_with_an_old_token_comes_back_with_the_next(
    open_page: OpenPage, closed: tuple[RunningApp, str]
) -> None:
    app, key = closed
    reader = open_page(app.url, voice=False)
    signed_in(reader, key)
    reader.ask("a story")
    reader.status_is("completed")
    spoil(reader)
    reader.page.evaluate("dispatchEvent(new Event('offline')), dispatchEvent(new Event('online'))")
    reader.wait(f"!{TOKEN}.token.endsWith('AAAAAA')")
    expect(reader.page.locator("#connection[data-state=live]")).to_be_attached()
    expect(reader.page.locator("#refusal")).to_be_hidden()
    nobody_is_asked(reader)


def test_a_user_who_signs_out_leaves_nothing_in_any_tab_for_the_next_one(
    open_page: OpenPage, closed: tuple[RunningApp, str], bobs: str
) -> None:
    app, key = closed
    reader = open_page(app.url)
    signed_in(reader, key)
    other = Reader.at(reader.page.context, app.url)
    other.ask("a story")
    other.status_is("completed")
    reader.page.fill("#text", "Dear diary")
    reader.page.wait_for_function("() => JSON.stringify(sessionStorage).includes('diary')")
    reader.page.get_by_role("button", name="Settings").click()
    reader.page.get_by_role("button", name="Sign out").click()
    for tab in (reader, other):
        expect(tab.page.get_by_role("dialog", name="Sign in")).to_be_visible()
        expect(tab.page.locator("#text")).to_have_value("")
        expect(tab.page.locator(".turn")).to_have_count(0)
    with other.page.expect_navigation():  # the other tab is the next user's as well
        signed_in(reader, bobs)
    expect(reader.page.locator("#text")).to_have_value("")
    nobody_is_asked(other)
    reader.page.fill("#text", "Mine")
    other.page.close()  # it would be asked for the key as well
    spoil(reader, renewal="none")
    reader.page.reload()
    signed_in(reader, key)
    expect(reader.page.locator("#text")).to_have_value("")


def test_a_page_that_is_open_renews_its_token_in_time_and_its_downloads_with_it(
    open_page: OpenPage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("short")
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    theirs = "https://elsewhere.example/?token=theirs"
    llm = {"reply": f"{SHORT} See {theirs} for more."}
    settings = scripted_settings(home, llm=llm, tts={"ms_per_char": 5}, auth={"token_ttl_s": 10})
    with running_app(settings) as app:
        reader = open_page(app.url, voice=False)
        signed_in(reader, key)
        reader.ask("a story")
        reader.status_is("completed")
        first = reader.page.evaluate(f"{TOKEN}.token")
        links = (
            "[...document.querySelectorAll('.keep a')].map((a) => new URL(a.href).searchParams.get('token'))"
        )
        reader.page.wait_for_function(f"old => {TOKEN}.token !== old", arg=first)
        reader.page.wait_for_function(f"() => {links}.every((shown) => shown === {TOKEN}.token)")
        assert reader.page.locator(".prose a").get_attribute("href") == theirs  # it leads to somebody else
        nobody_is_asked(reader)
        reader.page.get_by_role("button", name="Settings").click()
        expect(reader.page.get_by_text("Signed in as anna.")).to_be_visible()
        reader.page.get_by_role("button", name="Sign out").click()
        expect(reader.page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert reader.page.evaluate(TOKEN) is None
        reader.page.goto("about:blank")
