"""What happened when: the list of sessions, timelines, and telling it again."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser import session_log
from tests.browser.conftest import SHORT, STORY
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture
def told(app: RunningApp) -> str:
    return asked_in(app, "briefly")


def asked_in(app: RunningApp, prompt: str) -> str:
    """A session in which this was asked, and answered to the end."""
    with httpx.Client(base_url=app.url, timeout=30) as http:
        session: str = http.post("/v1/threads", json={"title": "Asked once"}).json()["id"]
        http.post(f"/v1/sessions/{session}/turns", json={"prompt": prompt}).raise_for_status()
        with http.stream("GET", f"/v1/sessions/{session}/events") as events:
            for line in events.iter_lines():
                if '"turn.completed"' in line:
                    break
    return session


def test_a_timeline_that_is_not_there_says_so_and_shows_nothing_else(open_page: OpenPage) -> None:
    page = open_page("/?timeline=0190a000-0000-7000-8000-000000000000").page
    expect(page.get_by_role("alert").filter(has_text="There is no such session")).to_be_visible()
    expect(page.get_by_role("link", name="Start a new one")).to_be_visible()
    expect(page.locator("table")).to_be_hidden()


def test_the_list_leads_to_what_happened(open_page: OpenPage, told: str) -> None:
    reader = open_page("/?history")
    page = reader.page
    entry = page.locator(".history").get_by_role("link", name="Asked once")
    expect(entry.first).to_be_visible()
    page.get_by_label("Show in the history").select_option("Stories")
    expect(entry).to_have_count(0)
    page.get_by_label("Show in the history").select_option("Chats")
    page.get_by_role("button", name="Actions for Asked once").first.click()
    page.locator("#menu").get_by_role("link", name="Timeline").click()
    expect(page.get_by_role("heading", name="Asked once", level=1)).to_be_visible()
    page.get_by_role("link", name="Open the conversation").click()
    page.locator(".turn").wait_for()
    assert "session=" in page.url


def test_an_entry_opens_the_conversation_and_can_be_deleted(
    open_page: OpenPage, app: RunningApp, told: str
) -> None:
    reader = open_page()
    entry = reader.page.locator(".history li", has=reader.page.locator(f'a[href="./?session={told}"]'))
    entry.get_by_role("link").click()
    reader.page.locator(".turn").wait_for()
    reader.page.go_back()
    pinned = reader.page.get_by_role("list", name="Pinned").get_by_role("link")
    for action, count in (("Pin", 1), ("Unpin", 0), ("Pin", 1)):
        entry.get_by_role("button", name="Actions for Asked once").click()
        reader.page.get_by_role("button", name=action, exact=True).click()
        expect(pinned).to_have_count(count)
        expect(entry.get_by_role("button", name="Actions for Asked once")).to_be_focused()
    reader.page.reload()
    expect(pinned).to_have_attribute("href", f"./?session={told}")
    entry.get_by_role("button", name="Actions for Asked once").click()
    reader.page.get_by_role("button", name="Delete Asked once").click()
    reader.page.get_by_role("button", name="Delete Asked once for good?").click()
    expect(entry).to_have_count(0)
    reader.wait("localStorage['rhapsode:pinned:me'] === '[]'")
    assert httpx.get(f"{app.url}/v1/sessions/{told}").status_code in {404, 410}


def test_the_history_follows_what_happens_elsewhere(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    entries = reader.page.locator(".history").get_by_role("link")
    reader.page.get_by_label("Search the history").fill("elsewhere")
    expect(reader.page.get_by_text("Nothing has these words")).to_be_visible()
    with httpx.Client(base_url=app.url, timeout=30) as http:
        session = http.post("/v1/threads", json={"title": "Begun elsewhere"}).json()["id"]
        expect(entries).to_have_text(["Begun elsewhere"])
        http.patch(f"/v1/sessions/{session}", json={"title": "Named elsewhere"}).raise_for_status()
        expect(entries).to_have_text(["Named elsewhere"])
        http.delete(f"/v1/sessions/{session}").raise_for_status()
        expect(entries).to_have_count(0)


def test_on_a_phone_an_entry_of_the_drawer_is_renamed_and_deleted(open_page: OpenPage, told: str) -> None:
    page = open_page(viewport={"width": 390, "height": 844}).page
    page.click("#open-sidebar")
    entry = page.locator("#history li", has=page.locator(f'a[href="./?session={told}"]'))
    entry.get_by_role("button").click()
    page.locator("#menu").get_by_text("Rename", exact=True).click()
    dialog = page.get_by_role("dialog", name="Rename")
    dialog.get_by_label("Title").fill("Renamed in the drawer")
    dialog.get_by_label("Title").press("Enter")
    expect(entry.get_by_role("link")).to_have_text("Renamed in the drawer")
    entry.get_by_role("button").click()
    page.get_by_role("button", name="Delete Renamed in the drawer").click()
    page.get_by_role("button", name="Delete Renamed in the drawer for good?").click()
    expect(entry).to_have_count(0)
    expect(page.locator("#history")).to_be_focused()


def test_the_words_of_an_answer_are_looked_for_when_that_is_asked_for(
    open_page: OpenPage, app: RunningApp, told: str
) -> None:
    page = open_page().page
    history = page.get_by_role("region", name="History")
    word = max(SHORT.split(), key=len)
    page.get_by_label("Search the history").fill(word)
    expect(page.get_by_text("Nothing has these words in its title or its questions.")).to_be_visible()
    page.get_by_role("button", name="Search in answers too").click()
    expect(history).to_be_focused()
    expect(history.locator(f'a[href="./?session={told}"]')).to_be_visible()
    expect(page.get_by_role("button", name="Search in answers too")).to_be_hidden()
    page.get_by_label("Search the history").fill("xylophones")
    page.get_by_role("button", name="Search in answers too").click()
    nothing, older = (
        page.get_by_text("questions or its answers."),
        page.get_by_role("button", name="Search older ones"),
    )
    expect(nothing.or_(older)).to_be_visible()
    while older.is_visible():  # a busy machine looks through fewer of them at a time
        older.click()
        expect(nothing.or_(older)).to_be_visible()
    expect(nothing).to_be_visible()


def test_a_search_in_answers_that_was_refused_has_found_nothing_out(open_page: OpenPage, told: str) -> None:
    page = open_page().page
    search = page.get_by_role("button", name="Search in answers too")
    page.get_by_label("Search the history").fill(max(SHORT.split(), key=len))
    problem = {"title": "Busy", "code": "gateway.busy", "detail": "others are searching"}
    page.route("**/v1/sessions?*answers=true*", lambda route: route.fulfill(status=503, json=problem))
    search.click()
    expect(page.get_by_text("Others are searching.")).to_be_visible()
    expect(page.get_by_text("its title, its questions or its answers.")).to_be_hidden()
    page.unroute("**/v1/sessions?*answers=true*")
    search.click()
    expect(page.locator(f'#history a[href="./?session={told}"]')).to_be_visible()


def test_older_sessions_are_searched_by_a_button_that_says_so(open_page: OpenPage) -> None:
    page = open_page().page
    page.get_by_label("Search the history").fill("xylophones")
    following = iter(["a-place", None])
    page.route(
        "**/v1/sessions?*answers=true*",
        lambda route: route.fulfill(json={"sessions": [], "next": next(following)}),
    )
    page.get_by_role("button", name="Search in answers too").click()
    expect(page.get_by_text("Older ones have not been searched yet.")).to_be_visible()
    page.get_by_role("button", name="Search older ones").click()
    expect(page.get_by_text("its title, its questions or its answers.")).to_be_visible()


def test_requests_of_other_programs_are_listed_only_when_asked_for(
    open_page: OpenPage, app: RunningApp, told: str
) -> None:
    with httpx.Client(base_url=app.url, timeout=30) as http:
        model = http.get("/v1/models").json()["data"][0]["id"]
        asked = {"model": model, "messages": [{"role": "user", "content": "briefly, says a program"}]}
        http.post("/v1/chat/completions", json=asked).raise_for_status()
        session = http.post("/v1/sessions", json={}).raise_for_status().json()["session_id"]
    reader = open_page()
    entries = reader.page.locator(".history li")
    its_own = entries.locator(f'a[href="./?session={session}"]')
    entries.first.wait_for()
    assert entries.filter(has_text="says a program").count() == its_own.count() == 0
    reader.page.get_by_label("Show in the history").select_option("API requests and comparisons")
    expect(entries.filter(has_text="says a program").first).to_be_visible()
    expect(its_own).to_have_text("API request")
    expect(entries.filter(has_text="Asked once")).to_have_count(0)


def test_a_timeline_shows_latencies(open_page: OpenPage, app: RunningApp, told: str) -> None:
    reader = open_page(f"/?timeline={told}")
    log_events = session_log.events(app.url, told)
    reader.wait("s.lastSeq === arg", len(log_events))
    asked, sound = (
        next(event["ts"] for event in log_events if event["type"] == kind)
        for kind in ("turn.requested", "audio.chunk")
    )
    expect(reader.page.locator(".delays")).to_contain_text(f"first sound {sound - asked:,} ms")
    picture = reader.page.get_by_role("img", name=re.compile("first sound after"))
    expect(picture).to_be_visible()
    sentences = sum(event["type"] == "sentence.completed" for event in log_events)
    assert picture.locator("rect.made").count() == picture.locator("rect.heard").count() == sentences
    reader.page.get_by_text("Details").click()
    table = reader.page.get_by_role("table", name=re.compile("moment by moment"))
    row = table.get_by_role("row").filter(has_text="First sound")
    expect(row).to_contain_text(f"{sound - asked:,} ms")
    expect(reader.page.get_by_role("table", name="The session itself")).to_contain_text("Begun")
    height = "(all) => Math.min(...all.map((one) => one.getBoundingClientRect().height))"
    assert picture.locator("text").evaluate_all(height) >= 12
    expect(reader.page.locator("#dock")).to_be_hidden()  # covers nothing
    prose = reader.page.locator(".prose").first
    assert prose.evaluate("(text) => text.scrollHeight <= text.clientHeight + 2"), "the text is whole"


@pytest.mark.parametrize(
    ("choice", "speed", "prompt", "answer"),
    [("Replay 4×", 4, "a story", STORY), ("Replay 1×", 1, "briefly", SHORT)],
)
def test_it_is_told_again_at_its_pace(
    open_page: OpenPage, app: RunningApp, choice: str, speed: int, prompt: str, answer: str
) -> None:
    told = asked_in(app, prompt)
    reader = open_page(f"/?timeline={told}")
    head = len(session_log.events(app.url, told))
    reader.wait("s.lastSeq === arg", head)
    with (
        reader.page.expect_websocket(lambda socket: f"speed={speed}" in socket.url),
        reader.waits("s.speed === arg && s.lastSeq > 0 && s.lastSeq < s.head", speed),
    ):
        reader.page.get_by_text(choice, exact=True).click()
    if speed == 1:
        reader.hears()
    reader.wait("s.lastSeq === arg", head)
    assert reader.answer == answer
    if speed == 4:
        assert reader.stats["samplesPlayed"] == 0
