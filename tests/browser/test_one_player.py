"""One document and one player: places change, what is heard goes on, and the player reaches into it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser import session_log
from tests.browser.conftest import SHORT
from tests.browser.conversations_page import new_talk
from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story, read_out, scene, written
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture
def listener(open_page: OpenPage) -> Reader:
    """Somebody to whom a long story is being read."""
    reader = open_page()
    reader.ask("a story at length")
    reader.hears(200)
    return reader


def stay_in_this_document(reader: Reader) -> None:
    reader.page.evaluate("() => { window.sameDocument = true; }")


def test_the_voice_goes_on_while_the_place_changes_and_comes_back(listener: Reader) -> None:
    chat = listener.session
    stay_in_this_document(listener)
    for place in ("Stories", "Library", "New chat"):
        before = listener.stats["positionMs"]
        listener.goes_to(place)
        expect(listener.page.locator("#source")).to_have_text("a story at length")
        listener.hears(before)
    listener.page.keyboard.press("Escape")
    listener.wait("s.turn === null && s.rms < 0.0005")
    listener.page.locator(".history").get_by_role("link", name="a story at length").first.click()
    expect(listener.page.locator(".turn")).to_have_attribute("data-status", "stopped")
    assert listener.session == chat
    assert listener.page.evaluate("window.sameDocument")


def test_a_chat_that_is_heard_is_lit_again_when_one_comes_back(listener: Reader) -> None:
    listener.wait("Number(document.querySelector('#seek').max) > 8000")  # so much is here already
    before = listener.stats["underruns"]
    listener.goes_to("Stories")
    listener.page.locator("#source").click()
    listener.page.locator(".word.said").wait_for()
    expect(listener.page.locator("#source")).to_be_hidden()
    assert listener.stats["underruns"] == before


def test_back_and_forward_go_through_places(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url, title="The first"))
    heading = reader.page.locator("#heading")
    expect(heading).to_have_text("The first")
    stay_in_this_document(reader)
    reader.goes_to("Library")
    expect(heading).to_have_text("Characters")
    reader.page.go_back()
    expect(heading).to_have_text("The first")
    reader.page.go_forward()
    expect(heading).to_have_text("Characters")
    assert reader.page.evaluate("window.sameDocument")


def test_places_that_are_left_leave_no_listeners_at_the_window(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url, title="The first"))
    expect(reader.page.locator("#heading")).to_have_text("The first")
    reader.page.wait_for_load_state("networkidle")  # the parts of the page are there
    reader.page.evaluate(
        """() => {
          window.added = [];
          const add = window.addEventListener;
          window.addEventListener = (kind, ...how) => {
            window.added.push(kind);
            add.call(window, kind, ...how);
          };
        }"""
    )
    for place, heading in [("Library", "Characters"), ("New chat", "New chat")] * 2:
        reader.goes_to(place)
        expect(reader.page.locator("#heading")).to_have_text(heading)
    assert reader.page.evaluate("window.added.filter((kind) => kind === 'scroll')") == []


def test_old_addresses_lead_on(open_page: OpenPage, app: RunningApp) -> None:
    page = open_page("/web/icon.svg").page
    for address, title in (
        ("?threads", "New chat"),
        ("?stories", "Stories"),
        ("?history", "New chat"),
        ("?collections", "Knowledge"),
    ):
        page.goto(f"{app.url}/{address}")
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def test_the_bar_leads_to_a_place_in_the_answer(listener: Reader) -> None:
    listener.status_is("running")
    listener.wait("Number(document.querySelector('#seek').max) > 8000")
    listener.page.locator("#seek").evaluate(
        "(bar) => { bar.value = '6000'; bar.dispatchEvent(new Event('change')); }"
    )
    listener.wait("s.positionMs >= 6000 && s.rms > 0.005")
    expect(listener.page.locator("#time")).to_contain_text("0:0")
    listener.page.get_by_role("button", name="Back one sentence").click()
    listener.wait("s.positionMs < 6000 && s.rms > 0.005")


def test_a_click_on_a_word_is_heard_from_there(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    reader.ask("briefly")
    reader.wait("s.turn === null && s.samplesPlayed > 0")
    second = session_log.sentences(app.url, reader.session, reader.last_turn)[1]
    sentence = reader.page.locator(".sentence").nth(1)
    word = sentence.evaluate("""(span) => {
        const range = document.createRange();
        range.setStart(span.firstChild, 8);
        range.setEnd(span.firstChild, 9);
        const { x, y, width, height } = range.getBoundingClientRect();
        return { x: x + width / 2, y: y + height / 2 };
    }""")
    assert SHORT.endswith(second.text)
    before = reader.stats["samplesPlayed"]
    with reader.waits("s.turn !== null && s.positionMs > arg", second.at_ms):
        reader.page.mouse.click(word["x"], word["y"])
    said = reader.page.locator(".word.said").first
    expect(said).to_be_attached()
    assert reader.begun_ms + before / 48 > second.at_ms + 100, "it begins at the word, not at the sentence"


def test_stop_is_silence_and_an_empty_queue(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    reader.page.click("#sound summary")
    reader.page.select_option("#typing", "queue")
    for prompt in ("a story without end", "briefly, the second", "briefly, the third"):
        reader.ask(prompt)
        reader.page.locator(".turn .prompt", has_text=prompt).wait_for()
    reader.hears()
    expect(reader.page.locator("#doing")).to_contain_text("Queued (2)")
    reader.page.keyboard.press("Escape")
    reader.page.keyboard.press("Escape")
    reader.wait("s.turn === null && s.rms < 0.0005")
    reader.sees(
        lambda: {turn["status"] for turn in session_log.turns(app.url, reader.session)} == {"stopped"}
    )
    assert reader.stats["turn"] is None


def test_a_question_that_is_sent_while_it_speaks_interrupts(listener: Reader, app: RunningApp) -> None:
    listener.ask("briefly, instead")
    listener.page.locator(".turn").nth(1).wait_for()
    listener.wait("s.turn === arg && s.rms > 0.005", listener.last_turn)
    expect(listener.page.locator(".turn").first).to_have_attribute("data-status", "stopped")
    assert session_log.turns(app.url, listener.session)[1]["status"] != "stopped"


def test_a_question_in_another_chat_interrupts_or_waits_as_was_chosen(listener: Reader) -> None:
    first = listener.stats["session"]
    listener.goes_to("New chat")
    listener.ask("briefly, here")
    listener.wait("s.session !== null && s.session !== arg && s.rms > 0.005", first)
    listener.wait("s.turn === null")
    listener.page.click("#sound summary")
    listener.page.select_option("#typing", "queue")
    listener.page.keyboard.press("Escape")
    second = listener.session
    listener.goes_to("New chat")
    listener.ask("briefly, there")
    listener.wait("s.session !== null && s.session !== arg && s.rms > 0.005", second)


def test_a_draft_stays_in_its_chat(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_talk(app.url, title="With a draft"))
    reader.page.fill("#text", "half a thought")
    reader.goes_to("New chat")
    expect(reader.page.locator("#text")).to_have_value("")
    reader.page.fill("#text", "another one")
    reader.page.go_back()
    expect(reader.page.locator("#text")).to_have_value("half a thought")
    reader.page.go_forward()
    expect(reader.page.locator("#text")).to_have_value("another one")


def test_a_scene_goes_on_in_the_player_when_its_story_is_left(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url, "Left and heard", "a story"))
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.hears(200)
    reader.goes_to("Library")
    expect(reader.page.locator("#source")).to_have_text("Left and heard")
    reader.hears(reader.stats["positionMs"])
    reader.page.locator("#source").click()
    expect(scene(reader, 1).locator(".word.said").first).to_be_visible()


def test_the_next_chapter_is_heard_after_its_story_was_left(open_page: OpenPage, app: RunningApp) -> None:
    address = new_story(app.url, "Left in chapters", "briefly", "a story")
    first, second = read_out(app.url, address)
    reader = open_page(address)
    scene(reader, 1).get_by_role("button", name="Play", exact=True).click()
    reader.wait("s.session === arg && s.rms > 0.005", first)
    reader.goes_to("Library")
    chapters = reader.page.get_by_role("group", name="Scenes")
    expect(chapters).to_contain_text("Scene 1 of 2: briefly")
    reader.wait("s.session === arg && s.rms > 0.005", second)
    chapters.get_by_role("button", name="Previous scene").click()
    reader.wait("s.session === arg && s.rms > 0.005", first)
    reader.page.locator("#source").click()
    expect(scene(reader, 1).locator(".word.said").first).to_be_visible()


def test_on_a_phone_the_history_is_a_drawer_and_the_header_has_three_items(
    open_page: OpenPage, app: RunningApp
) -> None:
    new_talk(app.url, title="On a phone")
    reader = open_page(viewport={"width": 390, "height": 844}, voice=False)
    page = reader.page
    reader.ask("briefly")
    reader.status_is("completed")
    shown = "[...document.querySelector('.top').children].filter((part) => part.checkVisibility()).length"
    assert page.evaluate(shown) == 3
    expect(page.locator("#sidebar")).to_be_hidden()
    page.click("#open-sidebar")
    expect(page.locator("#close-sidebar")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#open-sidebar")).to_be_focused()
    expect(page.locator("#sidebar")).to_be_hidden()
    page.click("#open-sidebar")
    page.locator(".history").get_by_role("link", name="On a phone").first.click()
    expect(page.locator("#heading")).to_have_text("On a phone")
    expect(page.locator("#sidebar")).to_be_hidden()


def test_on_a_phone_a_finger_opens_and_closes_the_drawer(open_page: OpenPage) -> None:
    reader = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    drawer = reader.page.locator("#sidebar")

    def swipe(begin: tuple[int, int], end: tuple[int, int]) -> None:
        reader.page.evaluate(
            """([begin, end]) => {
              const of = { identifier: 1, target: document.body };
              const touch = ([clientX, clientY]) => new Touch({ ...of, clientX, clientY });
              const send = (type, place, touches) => document.body.dispatchEvent(
                new TouchEvent(type, { bubbles: true, touches, changedTouches: [touch(place)] }));
              send("touchstart", begin, [touch(begin)]);
              send("touchend", end, []);
            }""",
            [begin, end],
        )

    for begin, end in (((200, 400), (380, 400)), ((10, 400), (90, 700)), ((10, 400), (40, 400))):
        swipe(begin, end)
        expect(drawer).to_be_hidden()
    swipe((10, 400), (200, 420))
    expect(drawer).to_be_visible()
    swipe((300, 400), (60, 410))
    expect(drawer).to_be_hidden()


def test_on_a_phone_nothing_to_press_lies_below_its_bars(open_page: OpenPage) -> None:
    reader = open_page(viewport={"width": 390, "height": 844}, is_mobile=True)
    bars = {"top": 47, "bottom": 34, "left": 0, "right": 0}
    cdp = reader.page.context.new_cdp_session(reader.page)
    cdp.send("Emulation.setSafeAreaInsetsOverride", {"insets": bars})

    def free(name: str) -> bool:
        box = reader.page.locator(name).bounding_box()
        assert box is not None, name
        return box["y"] >= bars["top"] and box["y"] + box["height"] <= 844 - bars["bottom"]

    assert all(map(free, ("#open-sidebar", "#send")))
    reader.page.click("#open-sidebar")
    assert all(map(free, ("#close-sidebar", "#settings-button")))
