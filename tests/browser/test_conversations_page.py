"""Talks at the page: characters, answers with their sources, and several people."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Route, expect

from pipeline.rag.passage_search import Search
from schemas.errors.retrieval_errors import RetrievalUnavailable
from tests.browser.browser_microphone import CLUBS, Visit
from tests.browser.conftest import CITED, SHORT
from tests.browser.conversations_page import (
    BEES,
    BROKEN,
    added,
    attach,
    attached,
    file,
    new_character,
    new_collection,
    new_talk,
)
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


def test_a_character_is_made_changed_and_talked_to(open_page: OpenPage, app: RunningApp) -> None:
    new_collection(app.url, "Hives", bees_md=BEES)
    reader = open_page("/?threads")
    page = reader.page
    reader.goes_to("Library")
    page.get_by_label("Name", exact=True).fill("Ida")
    page.get_by_label("Persona").fill("A keeper, dry and kind.")
    page.get_by_label("Hives").first.check()
    page.get_by_role("button", name="Create character").click()
    expect(page.get_by_text("Ida is saved.")).to_be_visible()
    above = page.get_by_role("list", name="Your characters").bounding_box()
    form = page.get_by_label("Persona").bounding_box()
    assert above is not None
    assert form is not None
    assert above["y"] < form["y"], "what there is stands above the form"
    page.get_by_role("button", name="Edit Ida").click()
    expect(page.get_by_label("Persona")).to_have_value("A keeper, dry and kind.")
    page.get_by_label("Name", exact=True).fill("Ida the keeper")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Ida the keeper").click()
    expect(page.get_by_role("button", name="Ida the keeper")).to_be_visible()
    reader.ask("briefly, please")
    reader.hears(200)
    reader.status_is("completed")
    assert reader.answer == SHORT
    expect(page.get_by_role("heading", name="briefly, please").first).to_be_visible()
    page.goto(f"{app.url}/?characters")
    page.get_by_role("button", name="Delete Ida the keeper").click()
    page.get_by_role("button", name="Delete Ida the keeper for good?").click()
    expect(page.get_by_role("link", name="Ida the keeper")).to_have_count(0)


def test_a_marker_opens_the_passage_in_its_document(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url, new_collection(app.url, "Bees", bees_md=BEES)))
    expect(reader.page.get_by_role("button", name="Default assistant · Bees")).to_be_visible()
    reader.ask("What is a hive built of?")
    reader.hears(200)
    reader.page.locator(".sentence.speaking").wait_for()
    reader.status_is("completed")
    assert reader.answer == CITED
    sources = reader.page.get_by_role("list", name="Sources")
    expect(sources.get_by_role("button")).to_have_count(2)
    marker = reader.page.locator(".prose").get_by_role("button", name="Source 1")
    marker.focus()
    reader.page.keyboard.press("Enter")
    mark = reader.page.locator("#passage mark")
    expect(mark).to_contain_text("Their combs are built of wax")
    expect(reader.page.locator("#passage .excerpt")).to_contain_text("Bees dance to tell")
    expect(reader.page.get_by_role("dialog", name="The hive")).to_be_visible()
    reader.page.keyboard.press("Escape")
    reader.page.reload()
    expect(reader.page.locator(".prose").get_by_role("button", name="Source 2")).to_have_text("[2]")


def test_chats_are_found_by_their_words_renamed_and_deleted(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url), voice=False)
    expect(reader.page.get_by_role("heading", name="New chat")).to_be_visible()
    reader.ask("briefly about quaggas")
    reader.status_is("completed")
    expect(reader.page.get_by_role("heading", name="briefly about quaggas", level=1)).to_be_visible()
    new_talk(app.url, title="Something else")
    page = reader.page
    page.goto(f"{app.url}/?history")
    chats = page.locator(".history").get_by_role("link")
    expect(chats.filter(has_text="Something else").first).to_be_visible()
    page.get_by_label("Search the history").fill("quaggas")
    expect(chats).to_have_count(1)
    page.get_by_role("button", name="Actions for briefly about quaggas").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Quaggas")
    page.get_by_role("button", name="Save").click()
    expect(chats).to_contain_text("Quaggas")
    chats.click()
    expect(page.get_by_role("heading", name="Quaggas", exact=True)).to_be_visible()
    reader.choose("Delete")
    page.get_by_role("button", name="Delete Quaggas for good?").click()
    expect(chats).to_have_count(0)
    expect(page.get_by_role("heading", name="What would you like to hear?")).to_be_visible()


def test_a_question_before_the_events_have_come_is_asked_of_the_chat(
    open_page: OpenPage, app: RunningApp
) -> None:
    address = new_talk(app.url)
    reader = open_page("/web/icon.svg", voice=False)
    reader.page.route_web_socket("**/stream?*", lambda silent: None)
    reader.page.goto(app.url + address)
    reader.ask("briefly, and soon")
    thread = f"{app.url}/v1/threads/{address.partition('=')[2]}"
    reader.sees(lambda: httpx.get(thread).json()["title"] == "briefly, and soon")


def test_character_and_knowledge_are_chosen_in_a_chats_title_at_any_time(
    open_page: OpenPage, app: RunningApp
) -> None:
    collection = new_collection(app.url, "Of wax", bees_md=BEES)
    character = new_character(app.url, "Otto the smith")
    reader = open_page(voice=False)
    reader.ask("briefly")
    reader.status_is("completed")
    page = reader.page
    page.get_by_role("button", name="Default assistant").click()
    page.get_by_label("Character", exact=True).select_option(character)
    expect(page.locator("#with")).to_contain_text("Otto the smith")
    page.locator("#with-panel").get_by_label("Of wax").check()
    expect(page.locator("#with")).to_contain_text("Otto the smith · Of wax")
    page.keyboard.press("Escape")
    reader.ask("the hive")
    expect(page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)
    settings = httpx.get(f"{app.url}/v1/sessions/{reader.session}").json()["settings"]
    assert (settings["character"], settings["collections"]) == (character, [collection])
    assert settings["system_prompt"].startswith("You are Otto the smith.")
    page.get_by_role("button", name="Otto the smith").click()
    page.get_by_label("Character", exact=True).select_option("")
    expect(page.locator("#with")).to_contain_text("Default assistant · Of wax")


def test_the_model_is_chosen_in_a_chats_title(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(voice=False)
    page = reader.page
    page.get_by_role("button", name="Default assistant").click()
    model = page.get_by_label("Model", exact=True)
    expect(model.locator("option")).to_have_text(["Default", "tea-1", "tea-2"])
    model.select_option(label="tea-2")
    expect(page.locator("#with")).to_have_text("Default assistant · tea-2")
    page.keyboard.press("Escape")
    reader.ask("briefly")
    settings = httpx.get(f"{app.url}/v1/sessions/{reader.session}").json()["settings"]
    assert (settings["llm_provider"], settings["llm_model"]) == ("tea", "tea-2")
    page.get_by_role("button", name="Default assistant").click()
    model.select_option(label="Default")
    expect(page.locator("#with")).to_have_text("Default assistant")
    reader.page.keyboard.press("Escape")
    reader.ask("briefly, please")
    reader.status_is("completed")
    assert reader.answer == SHORT


def test_titles_are_without_marks_of_markdown(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("briefly: what is a **hive** in `bee.md`?")
    shown = "briefly: what is a hive in bee.md?"
    expect(reader.page.get_by_role("heading", level=1)).to_have_text(shown)
    expect(reader.page).to_have_title(f"{shown} · Rhapsode")
    expect(reader.page.locator(".history").get_by_role("link", name=shown)).to_be_visible()
    reader.page.reload()
    expect(reader.page.get_by_role("heading", level=1)).to_have_text(shown)
    expect(reader.page.locator(".history").get_by_role("link", name=shown)).to_be_visible()


def test_several_people_are_in_one_talk(open_page: OpenPage, app: RunningApp) -> None:
    address = new_talk(app.url, new_collection(app.url, "Bees", bees_md=BEES), title="Together")
    one, other = open_page(address), open_page(address)
    one.choose("Share")
    one.page.get_by_role("button", name="Make a link").click()
    link = one.page.get_by_role("textbox", name="The link")
    expect(link).to_be_visible()
    guest = open_page(link.input_value())
    one.page.keyboard.press("Escape")
    one.ask("What is a hive?")
    for reader in (one, other, guest):
        reader.tap_if_asked()
        reader.hears(100)
    other.ask("briefly")
    for reader in (one, other, guest):
        expect(reader.page.locator('.turn[data-status="completed"]')).to_have_count(2)
        assert reader.answer == SHORT
    guest.page.locator(".turn").first.get_by_role("button", name="Source 1").first.click()
    expect(guest.page.locator("#passage mark")).to_contain_text("Their combs are built of wax")
    expect(guest.page.get_by_text("The whole document is not yours to open")).to_be_visible()


def test_a_talk_is_spoken(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.3, CLUBS, 60.0, url=app.url + new_talk(app.url, title="Spoken"))
    reader.page.get_by_role("button", name="Talk", exact=True).click()
    reader.page.locator('.turn[data-status="completed"]').wait_for(state="attached")
    expect(reader.page.get_by_role("heading", name="Spoken")).to_be_visible()


def test_a_talk_with_a_character_that_knows_something(open_page: OpenPage, app: RunningApp) -> None:
    collection = new_collection(app.url, "Of the hive", bees_md=BEES)
    reader = open_page(new_talk(app.url, character=new_character(app.url, "Bea", collection)), voice=False)
    expect(reader.page.get_by_role("button", name="Bea · Of the hive")).to_be_visible()
    reader.ask("the hive")
    expect(reader.page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)


def test_an_answer_whose_documents_could_not_be_searched_says_why_and_is_asked_for_again(
    open_page: OpenPage, app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_page(new_talk(app.url, new_collection(app.url, "Lost", bees_md=BEES)), voice=False)

    async def lost(*_: object) -> None:
        raise RetrievalUnavailable("the shelf fell down")

    monkeypatch.setattr(Search, "find", lost)
    reader.ask("the hive")
    told = reader.page.locator(".rests-on .note")
    expect(told).to_have_text("The documents could not be searched for this answer. The shelf fell down.")
    reader.status_is("completed")
    monkeypatch.undo()
    reader.page.locator(".turn").last.get_by_role("button", name="Retry").click()
    expect(reader.page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)
    expect(told).to_be_hidden()


def test_the_question_before_a_deletion_is_on_the_page(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url, title="Quaggas"))
    expect(reader.page.get_by_role("heading", name="Quaggas")).to_be_visible()
    for width in (390, 1280):
        reader.page.set_viewport_size({"width": width, "height": 800})
        reader.choose("Delete")
        sure = reader.page.get_by_role("button", name="Delete Quaggas for good?")
        reader.sees(
            lambda sure=sure, width=width: (box := sure.bounding_box()) and box["x"] + box["width"] <= width
        )
        reader.page.keyboard.press("Escape")


def test_files_of_a_chat_are_offered_to_no_other_chat(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    page = reader.page
    attach(reader, file("bees.md", BEES))
    added(reader, "The hive")
    page.get_by_role("button", name="Default assistant · bees.md").click()
    expect(page.locator("#with-panel").get_by_label("bees.md")).to_be_checked()
    handbook = new_collection(app.url, "Handbook")
    page.goto(app.url + new_talk(app.url, handbook))
    page.get_by_role("button", name="Default assistant · Handbook").click()
    expect(page.locator("#with-panel").get_by_label("Handbook")).to_be_checked()
    expect(page.locator("#with-panel").get_by_label("bees.md")).to_have_count(0)


def test_a_talk_that_is_not_there_says_so(open_page: OpenPage) -> None:
    reader = open_page("/?thread=0190a000-0000-7000-8000-000000000000")
    expect(reader.page.get_by_role("alert").filter(has_text="There is no such session")).to_be_visible()


def test_a_file_of_a_new_chat_reaches_the_answer_and_is_deleted_with_the_chat(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(voice=False)
    page = reader.page
    attach(reader, file("bees.md", BEES))
    added(reader, "The hive")
    expect(attached(reader)).to_have_text("bees.md")
    expect(page.get_by_role("button", name="Default assistant · bees.md")).to_be_visible()
    reader.ask("the hive")
    expect(page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)
    [files] = httpx.get(f"{app.url}/v1/sessions/{reader.session}").json()["settings"]["collections"]
    assert httpx.get(f"{app.url}/v1/collections/{files}").json()["thread"] == reader.session
    page.reload()
    expect(attached(reader)).to_have_text("bees.md")
    attached(reader).press("Enter")
    attach(reader, file("wax.txt", "Wax melts."))
    expect(attached(reader)).to_have_text("2 files")
    expect(page.locator("#attached").get_by_role("link", name="bees.md")).to_have_attribute(
        "href", f"./?collection={files}"
    )
    reader.choose("Delete")
    page.get_by_role("button", name="Delete the hive for good?").click()
    expect(page.get_by_role("heading", name="What would you like to hear?")).to_be_visible()
    expect(attached(reader)).to_be_hidden()
    reader.sees(lambda: httpx.get(f"{app.url}/v1/collections/{files}").status_code == 404)


def test_a_question_waits_visibly_for_a_file_that_is_still_read(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    page = reader.page
    held: list[Route] = []
    page.route("**/documents", lambda route: held.append(route))
    attach(reader, file("bees.md", BEES))
    reader.sees(lambda: len(held) == 1)
    expect(page.locator("#attached")).not_to_have_attribute("open", "")
    reader.ask("the hive")
    waits = "Waiting: the hive · The question is sent when bees.md is read."
    expect(page.locator("#sending")).to_have_text(waits)
    expect(page.locator("#send")).to_have_attribute("title", "The question is sent when bees.md is read.")
    expect(page.locator(".turn")).to_have_count(0)
    held[0].continue_()
    expect(page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)
    expect(page.locator("#send")).to_have_attribute("title", "Send (Enter)")


def test_a_voice_chat_says_that_it_does_not_wait_for_a_file(visit: Visit) -> None:
    reader = visit(60.0)
    held: list[Route] = []
    reader.page.route("**/documents", lambda route: held.append(route))
    attach(reader, file("bees.md", BEES))
    reader.sees(lambda: len(held) == 1)
    note = reader.page.locator("#knowledge-note")
    expect(note).to_be_hidden()
    reader.page.get_by_role("button", name="Talk", exact=True).click()
    expect(note).to_have_text("Spoken questions are answered without a file that is still being read.")
    held[0].continue_()
    added(reader, "The hive")
    expect(note).to_be_hidden()


def test_a_file_that_cannot_be_added_holds_the_question_until_it_is_sent_again(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    page = reader.page
    refused = {"code": "gateway.busy", "detail": "Too many documents are in hand."}
    page.route("**/documents", lambda route: route.fulfill(status=503, json=refused))
    attach(reader, file("bees.md", BEES))
    row = page.locator("#attached li")
    expect(row).to_have_attribute("data-state", "failed")
    expect(row.locator(".about")).not_to_be_empty()
    reader.ask("the hive")
    expect(page.locator("#problem")).to_contain_text("The file bees.md could not be added.")
    expect(page.locator("#text")).to_have_value("the hive")
    page.unroute("**/documents")
    row.get_by_role("button", name="Send bees.md again").click()
    added(reader, "The hive")
    page.locator("#text").press("Enter")
    expect(page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)


def test_a_question_is_sent_without_a_file_that_failed_once_that_was_said(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    attach(reader, BROKEN)
    expect(reader.page.locator("#attached li")).to_have_attribute("data-state", "failed")
    reader.ask("briefly")
    problem = reader.page.locator("#problem")
    expect(problem).to_have_text("The file broken.pdf could not be added. Ask again to do without it.")
    reader.page.locator("#text").press("Enter")
    reader.status_is("completed")
    expect(problem).to_be_hidden()
    reader.page.reload()
    expect(reader.page.locator("#attached li")).to_have_attribute("data-state", "failed")
    reader.ask("a story")
    expect(reader.page.locator(".turn")).to_have_count(2)
    expect(problem).to_be_hidden()


def test_a_question_waits_for_a_file_while_the_page_still_comes(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page("/web/icon.svg", voice=False)
    page = reader.page
    held: list[Route] = []
    page.route("**/soon.part.js*", lambda route: held.append(route))
    page.goto(app.url)
    attach(reader, file("bees.md", BEES))
    reader.ask("the hive")
    expect(page.locator("#sending")).to_contain_text("The question is sent when bees.md is read.")
    held[0].continue_()
    expect(page.get_by_role("list", name="Sources").get_by_role("button")).to_have_count(2)


def test_a_question_names_the_documents_that_it_waits_for(open_page: OpenPage, app: RunningApp) -> None:
    collection = new_collection(app.url, "Slow", bees_md=BEES)
    reader = open_page("/web/icon.svg", voice=False)
    page = reader.page
    held: list[Route] = []
    page.route(f"**/v1/collections/{collection}", lambda route: held.append(route))
    page.goto(app.url + new_talk(app.url, collection))
    reader.sees(lambda: len(held) == 2)  # for the title and for the files
    reader.ask("the hive")
    waits = "Waiting: the hive · The question is sent when the documents of this chat are known."
    expect(page.locator("#sending")).to_have_text(waits)
    for route in held:
        route.continue_()
    page.unroute(f"**/v1/collections/{collection}")
    reader.status_is("completed")
    expect(page.locator("#sending")).to_be_hidden()


def test_a_file_that_failed_is_in_sight_among_many(open_page: OpenPage) -> None:
    reader = open_page(viewport={"width": 390, "height": 700})
    attach(reader, *[file(f"wax-{number}.txt", "Wax melts.") for number in range(6)], BROKEN)
    failed = reader.page.locator('#attached li[data-state="failed"]')
    expect(failed).to_be_in_viewport(ratio=0.9)


def test_a_broken_file_says_the_servers_words_and_is_removed(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    attach(reader, BROKEN)
    row = reader.page.locator("#attached li")
    expect(row).to_have_attribute("data-state", "failed")
    said = row.locator(".about").inner_text()
    expect(attached(reader)).to_have_text(f"broken.pdf · {said}")
    row.get_by_role("button", name="Delete broken.pdf").click()
    row.get_by_role("button", name="Delete broken.pdf for good?").press("Enter")
    expect(attached(reader)).to_be_hidden()
    expect(reader.page.get_by_role("heading", level=1)).to_be_focused()
    reader.ask("briefly")
    reader.status_is("completed")


def test_files_are_dropped_on_a_chat_and_pasted_into_its_box(open_page: OpenPage) -> None:
    reader = open_page()
    give = """([type, name, text]) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name));
      const options = { dataTransfer: data, clipboardData: data, bubbles: true, cancelable: true };
      const event = type === "paste" ? new ClipboardEvent(type, options) : new DragEvent(type, options);
      return document.querySelector("#text").dispatchEvent(event);
    }"""
    reader.page.locator("#recording").wait_for()  # so far has the page come that what is dropped is taken
    assert not reader.page.evaluate(give, ["dragover", "", ""])
    assert not reader.page.evaluate(give, ["drop", "dropped.md", BEES])
    added(reader, "The hive")
    assert not reader.page.evaluate(give, ["paste", "pasted.txt", "Wax melts."])
    added(reader, "pasted")
    expect(attached(reader)).to_have_text("2 files")
    for way in ("drop", "paste"):
        assert not reader.page.evaluate(give, [way, "photo.png", ""])
        expect(reader.page.locator("#problem")).to_contain_text("photo.png cannot be attached: PDF")
        reader.page.locator("#text").fill("")
    expect(attached(reader)).to_have_text("2 files")


def test_an_empty_knowledge_base_says_so_where_one_asks(open_page: OpenPage, app: RunningApp) -> None:
    collection = new_collection(app.url, "Hives")
    address = new_talk(app.url, collection)
    reader = open_page(address)
    note = reader.page.locator("#knowledge-note")
    expect(note).to_have_text("“Hives” has no documents yet. Add some.")
    documents = f"{app.url}/v1/collections/{collection}/documents"
    httpx.post(documents, files={"file": ("bees.md", BEES.encode())}, timeout=30).raise_for_status()
    expect(note).to_be_hidden()
    [document] = httpx.get(documents).json()["documents"]
    httpx.delete(f"{documents}/{document['id']}").raise_for_status()
    note.get_by_role("link", name="Add some").click()
    expect(reader.page.get_by_text("Nothing in here yet.")).to_be_visible()
    expect(note).to_be_hidden()
    httpx.delete(f"{app.url}/v1/collections/{collection}", timeout=30).raise_for_status()
    reader.page.goto(app.url + address)
    expect(note).to_have_text("A knowledge base of this chat was deleted.")
