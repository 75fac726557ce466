"""Documents at the page: collections, uploads that are watched, and what is found in them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conversations_page import BEES, BROKEN, added, file, new_collection, row
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


def test_documents_are_added_watched_found_and_deleted(open_page: OpenPage) -> None:
    reader = open_page("/?collections")
    page = reader.page
    page.get_by_label("Name", exact=True).fill("Bee keeping")
    page.get_by_role("button", name="Create knowledge base").click()
    expect(page.get_by_role("heading", name="Bee keeping")).to_be_visible()
    files = [file("bees.md", BEES), file("long.txt", "Flowers. " * 30_000), file("short.txt", "Wax melts.")]
    page.set_input_files("#files", files)  # type: ignore[arg-type]
    expect(added(reader, "The hive")).to_contain_text("2 passages")
    expect(added(reader, "short")).to_contain_text("1 passage")
    expect(row(reader, "short")).not_to_contain_text("1 passages")
    added(reader, "long")
    page.get_by_role("searchbox", name="Look something up").fill("what are combs built of")
    page.get_by_role("button", name="Find").click()
    scores = page.locator(".found .about").all_inner_texts()
    assert scores == sorted(scores, key=lambda words: float(words.removeprefix("Relevance ")), reverse=True)
    page.get_by_role("button", name="Open The hive", exact=True).click()
    mark = page.locator("#passage mark")
    expect(mark).to_contain_text("Their combs are built of wax")
    expect(page.locator("#passage .excerpt")).to_contain_text("Bees dance to tell")
    page.keyboard.press("Escape")
    delete = row(reader, "long").get_by_role("button", name="Delete")
    delete.click()
    row(reader, "long").get_by_role("button", name="Delete long.txt for good?").click()
    expect(row(reader, "long")).to_have_count(0)
    page.locator(".documents").get_by_role("button", name="The hive").first.click()
    expect(page.locator("#passage .excerpt")).to_contain_text("Bees live together in a hive.")


def test_a_knowledge_base_that_takes_a_while_says_so(open_page: OpenPage) -> None:
    reader = open_page("/?collections")
    held: list[Route] = []
    reader.page.route("**/v1/collections", lambda route: held.append(route))
    reader.page.get_by_label("Name", exact=True).fill("Slow")
    create = reader.page.get_by_role("button", name="Create knowledge base")
    create.click()
    form = reader.page.get_by_role("form", name="A new knowledge base")
    expect(form.get_by_role("status")).to_contain_text("Creating the knowledge base…")
    expect(create).to_be_disabled()
    reader.sees(lambda: len(held) == 1)
    held[0].fulfill(status=503, json={"code": "library.unavailable", "detail": "The library is starting."})
    expect(form.get_by_role("alert")).to_be_visible()
    expect(form.get_by_role("status")).to_have_count(0)
    reader.page.unroute("**/v1/collections")
    create.click()
    expect(reader.page.get_by_role("heading", name="Slow")).to_be_visible()


def test_a_knowledge_base_that_is_made_late_takes_nobody_out_of_a_chat(open_page: OpenPage) -> None:
    reader = open_page("/?collections")
    held: list[Route] = []
    reader.page.route("**/v1/collections", lambda route: held.append(route))
    reader.page.get_by_label("Name", exact=True).fill("Late")
    reader.page.get_by_role("button", name="Create knowledge base").click()
    reader.sees(lambda: len(held) == 1)
    reader.page.get_by_role("link", name="New chat").click()
    box = reader.page.get_by_placeholder("Message…")
    expect(box).to_be_visible()
    box.fill("Still here")
    with reader.page.expect_response("**/v1/collections") as made:
        held[0].continue_()
    made.value.finished()
    reader.page.wait_for_timeout(200)  # what follows from the answer
    expect(box).to_have_value("Still here")
    assert "collection=" not in reader.page.url


def test_everybody_who_looks_sees_an_upload_come_in(open_page: OpenPage, app: RunningApp) -> None:
    address = f"/?collection={new_collection(app.url)}"
    sender, watcher = open_page(address), open_page(address)
    expect(watcher.page.get_by_text("Nothing in here yet.")).to_be_visible()
    sender.page.set_input_files("#files", [file("bees.md", BEES)])  # type: ignore[list-item]
    added(watcher, "The hive")
    expect(watcher.page.locator("#announcer")).to_have_text("bees.md can be found now")
    expect(row(watcher, "The hive")).to_have_count(1)
    expect(row(sender, "The hive")).to_have_count(1)


def test_a_file_that_cannot_be_added_says_why(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(f"/?collection={new_collection(app.url)}")
    large = {"name": "large.txt", "mimeType": "text/plain", "buffer": b"x" * 900_000}
    reader.page.set_input_files("#files", [BROKEN, large])  # type: ignore[list-item]
    expect(row(reader, "broken.pdf")).to_contain_text("The PDF is damaged")
    expect(row(reader, "large.txt")).to_contain_text("larger than")
    reader.page.reload()
    expect(row(reader, "broken.pdf")).to_contain_text("The PDF is damaged")
    expect(row(reader, "large.txt")).to_have_count(0)


def test_files_may_be_dropped(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(f"/?collection={new_collection(app.url)}")
    reader.page.locator(".drop").wait_for()
    reader.page.evaluate(
        """(text) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], "dropped.md"));
          for (const type of ["dragover", "drop"]) {
            const options = { dataTransfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent(type, options));
          }
        }""",
        BEES,
    )
    added(reader, "The hive")


def test_a_collection_is_renamed_and_deleted(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(f"/?collection={new_collection(app.url, 'To be renamed')}")
    expect(reader.page.get_by_role("heading", name="To be renamed")).to_be_visible()
    reader.page.get_by_role("button", name="Rename").click()
    reader.page.get_by_role("textbox", name="Name").fill("To be deleted")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.get_by_role("heading", name="To be deleted")).to_be_visible()
    reader.page.goto(f"{app.url}/?collections")
    reader.page.get_by_role("button", name="Delete To be deleted").click()
    reader.page.get_by_role("button", name="Delete To be deleted for good?").click()
    expect(reader.page.get_by_role("link", name="To be deleted")).to_have_count(0)


def test_a_collection_that_is_not_there_says_so(open_page: OpenPage) -> None:
    reader = open_page("/?collection=0190a000-0000-7000-8000-000000000000")
    expect(
        reader.page.get_by_role("alert").filter(has_text="There is no such knowledge base")
    ).to_be_visible()
