"""What stories, settings and history look like, and that the keyboard is enough."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.appearance.test_page_appearance import picture
from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story, prefer, scene, story_of, tell, written
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture(autouse=True)
def default_settings(app: RunningApp) -> Iterator[None]:
    prefer(app.url)
    yield
    prefer(app.url)


def test_pictures_of_all_places_and_none_scrolls_sideways(
    open_page: OpenPage, app: RunningApp, pictures: Path
) -> None:
    reader = open_page("/?stories")
    expect(reader.page.get_by_role("heading", name="Stories", level=1)).to_be_visible()
    picture(reader, pictures, "stories")
    reader.page.goto(app.url + new_story(app.url, "The keeper and the " + "W" * 60, "briefly"))
    written(reader, 1)
    tell(reader, "a story of the sea", aloud=True)
    reader.page.locator("#scene-2 .word.said").wait_for()
    reader.wait("!document.querySelector('#follow:not([hidden])')")
    picture(reader, pictures, "story")
    reader.open_sidebar()
    reader.page.get_by_role("button", name="Settings").click()
    expect(reader.page.get_by_label("Read while writing")).to_be_visible()
    picture(reader, pictures, "settings")
    reader.page.keyboard.press("Escape")
    if reader.page.locator("#close-sidebar").is_visible():
        reader.page.click("#close-sidebar")
    reader.choose("Share")
    reader.page.get_by_role("button", name="Make a link").click()
    expect(reader.page.get_by_role("textbox", name="The link")).to_be_visible()
    picture(reader, pictures, "share")
    reader.page.keyboard.press("Escape")
    written(reader, 2)
    story = story_of(reader)
    reader.page.goto(f"{app.url}/?timeline={story}")
    expect(reader.page.get_by_role("img").nth(1)).to_be_visible()
    reader.page.get_by_text("Details").nth(1).click()
    reader.page.locator("figure").nth(1).scroll_into_view_if_needed()
    picture(reader, pictures, "timeline")


def test_the_keyboard_is_enough(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page("/?stories")
    keys = reader.page.keyboard
    reader.page.get_by_label("Title").focus()
    keys.type("By keys alone")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    story_of(reader)
    expect(reader.page.locator("#text")).to_be_focused()
    keys.press("Shift+Tab")
    keys.press("ArrowRight")
    expect(reader.page.get_by_label("Write and read aloud")).not_to_be_checked()
    keys.press("ArrowLeft")
    expect(reader.page.get_by_label("Write and read aloud")).to_be_checked()
    keys.press("Tab")
    keys.type("a story at length")
    keys.press("Enter")
    reader.hears(500)
    for _ in range(2):
        keys.press("Shift+Tab")
    focused = reader.page.evaluate("document.activeElement.closest('label, button, summary, a').outerHTML")
    assert reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", focused
    reader.look_up()
    keys.press("Space")
    reader.wait("s.paused && s.rms < 0.0005")
    keys.press("Space")
    reader.hears()
    before = reader.stats["positionMs"]
    reader.wait("document.querySelectorAll('.sentence').length > 4")
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    reader.wait("s.positionMs > arg", before + 1_000)
    further = reader.stats["positionMs"]
    keys.press("ArrowLeft")
    keys.press("ArrowLeft")
    reader.wait("s.turn !== null && s.positionMs < arg", further)
    keys.press("?")
    expect(reader.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    keys.press("Escape")
    expect(reader.page.get_by_role("dialog", name="Keyboard shortcuts")).to_have_count(0)
    assert reader.stats["turn"] is not None, "Escape closed the help and did not stop the voice"
    keys.press("Escape")
    reader.wait("s.turn === null && s.rms < 0.0005")


def test_every_control_of_a_story_has_a_name(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url, "Names", "briefly"))
    written(reader, 1)
    scene(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.hears()
    reader.page.get_by_role("button", name="Settings").click()
    expect(reader.page.get_by_label("Read while writing")).to_be_visible()
    nameless = reader.page.evaluate("""() =>
        [...document.querySelectorAll('button, a, summary, input, select, textarea')]
            .filter((part) => part.checkVisibility())
            .filter((part) => !(part.ariaLabel || part.innerText || part.labels?.length))
            .map((part) => part.outerHTML)""")
    assert nameless == []
