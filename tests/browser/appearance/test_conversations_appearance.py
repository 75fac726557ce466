"""What talks, characters and documents look like, and that the keyboard is enough."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.appearance.test_page_appearance import WIDE_ENOUGH, picture
from tests.browser.conversations_page import (
    BEES,
    BROKEN,
    added,
    attach,
    file,
    new_character,
    new_collection,
    new_talk,
    row,
)
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]
LONG = "A collection with a rather long name, " + "W" * 50


def test_pictures_of_talks_and_none_scrolls_sideways(
    open_page: OpenPage, app: RunningApp, pictures: Path
) -> None:
    collection = new_collection(app.url, LONG, bees_md=BEES, notes_txt="Bees fly. " * 200)
    character = new_character(app.url, "Ines, who keeps the lighthouse", collection)
    reader = open_page(new_talk(app.url, character=character))
    page = reader.page
    expect(page.get_by_role("heading", name="What would you like to hear?")).to_be_visible()
    picture(reader, pictures, "talk-empty")
    reader.ask("What is the hive built of?")
    reader.page.locator(".sentence.speaking").wait_for()
    reader.status_is("completed")
    picture(reader, pictures, "talk")
    page.locator(".prose").get_by_role("button", name="Source 1").click()
    expect(page.locator("#passage mark")).to_be_visible()
    expect(page.locator("#passage .excerpt")).to_contain_text("Bees dance")
    picture(reader, pictures, "passage")
    page.goto(f"{app.url}/?characters")
    page.get_by_role("button", name="Edit Ines").first.click()
    picture(reader, pictures, "characters")
    page.goto(f"{app.url}/?collections")
    expect(page.get_by_role("list", name="Your knowledge bases").get_by_role("link").first).to_be_visible()
    picture(reader, pictures, "collections")
    page.goto(f"{app.url}/?collection={collection}")
    added(reader, "The hive")
    page.set_input_files("#files", [BROKEN, file("long.txt", "Bees fly. " * 38_000)])  # type: ignore[list-item]
    expect(row(reader, "broken.pdf")).to_have_attribute("data-state", "failed")
    page.get_by_role("searchbox", name="Look something up").fill("what are combs built of")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("button", name="Open The hive").first).to_be_visible()
    picture(reader, pictures, "collection")
    page.mouse.wheel(0, 2_000)
    reader.wait("scrollY + innerHeight >= document.documentElement.scrollHeight - 2")
    picture(reader, pictures, "found")


def test_the_files_of_a_chat_have_room_in_a_page_at_400_percent(open_page: OpenPage) -> None:
    reader = open_page(viewport={"width": 320, "height": 256})
    attach(reader, file("a-file-with-a-rather-long-name-" + "w" * 60 + ".md", BEES), BROKEN)
    added(reader, "The hive")
    expect(row(reader, "broken.pdf")).to_have_attribute("data-state", "failed")
    for part in ("summary", "li >> nth=0", "li >> nth=1", ".note"):
        assert reader.page.evaluate(WIDE_ENOUGH), part
        place = reader.page.locator(f"#attached {part}").bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 320


def test_the_keyboard_is_enough(open_page: OpenPage, app: RunningApp) -> None:
    collection = new_collection(app.url, "By keys", bees_md=BEES)
    reader = open_page()
    keys = reader.page.keyboard
    reader.page.locator("#with").focus()
    keys.press("Enter")
    reader.page.get_by_label("By keys", exact=True).last.focus()
    keys.press("Space")
    keys.press("Escape")
    expect(reader.page.locator("#with")).to_be_focused()
    reader.page.locator("#text").focus()
    keys.type("the hive")
    keys.press("Enter")
    reader.status_is("completed")
    reader.page.get_by_role("list", name="Sources").get_by_role("button").first.focus()
    keys.press("Enter")
    expect(reader.page.get_by_role("dialog", name="The hive")).to_be_visible()
    keys.press("Escape")
    expect(reader.page.get_by_role("dialog")).to_have_count(0)
    reader.page.goto(f"{app.url}/?collection={collection}")
    reader.page.get_by_role("button", name="Delete bees.md").focus()
    keys.press("Enter")
    keys.press("Tab")
    expect(reader.page.get_by_role("button", name="Delete bees.md", exact=True)).to_be_visible()


@pytest.mark.parametrize("place", ["characters", "collections", "collection"])
def test_every_control_has_a_name(open_page: OpenPage, app: RunningApp, place: str) -> None:
    collection = new_collection(app.url, "Named", bees_md=BEES)
    new_character(app.url, "Somebody", collection)
    reader = open_page(f"/?{place}={collection}")
    reader.page.locator(".shelf li").first.wait_for()
    nameless = reader.page.evaluate("""() =>
        [...document.querySelectorAll('button, a, summary, input, select, textarea, progress')]
            .filter((part) => part.checkVisibility())
            .filter((part) => !(part.ariaLabel || part.innerText || part.labels?.length))
            .map((part) => part.outerHTML)""")
    assert nameless == []
