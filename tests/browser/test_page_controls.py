"""Stop, pause, skip, settings and what happens when a wish is refused."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser import session_log
from tests.browser.conftest import SHORT, STORY
from tests.browser.page_reader import LOOK_MS, Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]
_SPEAKING = "[...document.querySelectorAll('.sentence')].findIndex((one) => one.matches('.speaking'))"
"""The number of the sentence that is heard."""
_SKIP = f"() => {{ const left = {_SPEAKING}; document.querySelector('#skip').click(); return left; }}"


@pytest.fixture
def listener(open_page: OpenPage) -> Reader:
    """Somebody to whom a long story is being read; it is written faster than it is read."""
    reader = open_page()
    reader.ask("a story at length")
    reader.hears(200)
    return reader


@pytest.fixture
def patient(open_page: OpenPage) -> Reader:
    """Somebody to whom a story is read that is still being written in a minute."""
    reader = open_page()
    reader.ask("a story without end")
    reader.hears(200)
    return reader


def test_escape_stops_the_voice_and_the_writing(patient: Reader) -> None:
    patient.status_is("running")
    patient.page.keyboard.press("Escape")
    patient.wait("s.rms < 0.0005 && s.turn === null")
    patient.status_is("stopped")
    patient.page.get_by_text("Stopped", exact=True).wait_for()
    assert not patient.page.is_visible("#stop")
    assert patient.page.locator(".narrated, .sentence.unheard").count() == 0, "nothing is left in grey"


def test_a_stop_is_heard_in_every_tab(patient: Reader, open_page: OpenPage) -> None:
    other = open_page(patient.page.url)
    other.tap_if_asked()
    other.hears()
    patient.page.click("#stop")
    other.wait("s.rms < 0.0005 && s.turn === null")
    other.status_is("stopped")


def test_a_stop_is_heard_in_every_tab_when_all_is_written_already(open_page: OpenPage) -> None:
    reader = open_page()
    reader.ask("a story told twice")
    reader.hears()
    other = open_page(reader.page.url)
    other.tap_if_asked()
    other.hears()
    for tab in (reader, other):
        tab.status_is("completed")
    reader.page.click("#stop")
    other.wait("s.rms < 0.0005 && s.turn === null")
    late = open_page(reader.page.url)
    late.status_is("completed")
    late.wait("s.turn === null")


def test_space_pauses_everybody_and_goes_on_at_the_same_place(listener: Reader, open_page: OpenPage) -> None:
    other = open_page(listener.page.url)
    other.tap_if_asked()
    other.hears()
    listener.look_up()
    listener.page.keyboard.press("Space")
    for reader in (listener, other):
        reader.wait("s.paused && s.rms < 0.0005")
    held = listener.stats["positionMs"]
    late = open_page(listener.page.url)
    late.wait("s.paused")
    assert listener.stats["positionMs"] == held
    listener.page.get_by_role("button", name="Go on").click()
    for reader in (listener, other):
        reader.hears(held)


def test_keys_are_text_in_a_full_box_and_reach_the_player_from_an_empty_one(listener: Reader) -> None:
    listener.page.fill("#text", "and")
    listener.page.press("#text", "Space")
    assert listener.page.input_value("#text") == "and "
    assert not listener.stats["paused"]
    listener.page.fill("#text", "")
    listener.page.press("#text", "Space")
    listener.wait("s.paused")
    assert listener.page.input_value("#text") == ""
    listener.page.press("#text", "Space")
    listener.wait("!s.paused")
    listener.page.press("#text", "?")
    expect(listener.page.get_by_role("dialog")).to_contain_text("Pause")


def test_the_volume_is_heard_at_once_and_the_focus_goes_on_where_its_panel_and_the_player_close(
    listener: Reader,
) -> None:
    listener.page.focus("#sound summary")
    listener.page.keyboard.press("Enter")
    listener.page.fill("#volume", "0")
    listener.wait("s.rms < 0.0005")
    place = listener.stats["positionMs"]
    listener.wait("s.positionMs > arg", place)
    listener.page.fill("#volume", "1")
    listener.hears(place)
    listener.page.keyboard.press("Escape")
    assert listener.page.evaluate("document.activeElement.matches('#sound summary')")
    assert listener.stats["turn"] is not None
    listener.page.focus("#text")
    while listener.page.evaluate("document.activeElement.id") != "stop":
        listener.page.keyboard.press("Shift+Tab")
    listener.page.keyboard.press("Enter")
    listener.wait("s.turn === null")
    listener.wait("document.activeElement.id === 'text'")


def test_skipping_goes_to_the_next_sentence(listener: Reader, app: RunningApp) -> None:
    turn = listener.stats["turn"]
    listener.wait(f"document.querySelectorAll('.sentence').length > 2 && {_SPEAKING} >= 0")
    left = listener.page.evaluate(_SKIP)
    over = False
    while len(voiced := session_log.sentences(app.url, listener.session, turn)) < left + 2:
        assert not over, "What is shown was never voiced."
        listener.page.wait_for_timeout(LOOK_MS)
        over = "turn.completed" in {event["type"] for event in session_log.events(app.url, listener.session)}
    following = voiced[left + 1]
    listener.wait("s.positionMs >= arg && s.samplesPlayed / 48 < s.positionMs - 100", following.at_ms)
    listener.wait(f"({_SPEAKING}) > arg", left)


def test_the_way_back_to_the_current_sentence_points_at_it(open_page: OpenPage) -> None:
    listener = open_page()
    listener.ask("a story told twice")
    listener.status_is("completed")
    listener.page.click(".replay")  # from its beginning, however long it took to write
    listener.hears()
    listener.page.evaluate("document.querySelector('#story').style.padding = '300vh 0'")
    look = """(share) => {
        const { scrollHeight } = document.documentElement;
        scrollTo({ top: share * (scrollHeight - innerHeight) + Math.random() * 90, behavior: "instant" });
        return document.querySelector("#follow:not([hidden]) use")?.getAttribute("href");
    }"""
    listener.sees(lambda: listener.page.evaluate(look, 0) == "#i-down")
    listener.sees(lambda: listener.page.evaluate(look, 0.9) == "#i-up")
    listener.page.click("#follow")
    expect(listener.page.locator(".sentence.speaking")).to_be_in_viewport()


def test_a_reader_who_scrolls_away_while_an_answer_begins_is_not_pulled_back(open_page: OpenPage) -> None:
    reader = open_page()
    reader.ask("a story told twice")
    reader.status_is("completed")
    reader.ask("a story at length")
    # Of the second answer: whoever asks is shown what comes.
    reader.wait("document.querySelector('.turn + .turn .prose')?.textContent.length > 80")
    reader.page.mouse.move(640, 300)
    reader.page.mouse.wheel(0, -100_000)
    reader.sees(lambda: reader.page.evaluate("scrollY") == 0)
    written = len(reader.answer)
    reader.sees(lambda: len(reader.answer) > written + 300)
    assert reader.page.evaluate("scrollY") == 0
    assert reader.page.evaluate("scrollY + innerHeight < document.documentElement.scrollHeight - 100")
    reader.page.mouse.wheel(0, 100_000)
    reader.sees(lambda: len(reader.answer) > written + 700)
    expect(reader.page.locator(".sentence.speaking")).to_be_in_viewport()


def test_an_empty_request_cannot_be_sent(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("   ")
    expect(reader.page.locator("#send")).to_be_disabled()
    reader.page.fill("#text", "x")
    expect(reader.page.locator("#send")).to_be_enabled()
    assert reader.page.locator(".turn").count() == 0


def test_a_request_that_is_too_long_is_refused_and_kept(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("long " * 500)
    problem = reader.page.locator("#problem")
    problem.wait_for()
    assert "2000" in problem.inner_text() or "2,000" in problem.inner_text()
    assert reader.page.input_value("#text") == "long " * 500


def test_speed_counts_at_once_and_for_all_that_is_heard(listener: Reader) -> None:
    listener.page.select_option("#speed", "2")
    listener.page.wait_for_function(
        """() => {
            const { positionMs, samplesPlayed, rms } = rhapsode.stats();
            const begun = (window.begun ??= { positionMs, samplesPlayed });
            const played = (samplesPlayed - begun.samplesPlayed) / 48;
            return rms > 0.005 && played > 1500 && (positionMs - begun.positionMs) / played > 1.7;
        }"""
    )
    listener.page.locator(".word.said").wait_for()
    listener.page.reload()
    listener.wait("document.querySelector('#speed').value === '2'")


def test_the_lock_screen_and_the_headset_reach_the_player_and_the_screen_stays_on(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page("/web/icon.svg")
    reader.page.add_init_script(
        """navigator.mediaSession.setActionHandler = (action, handle) => {
            (window.actions ??= {})[action] = handle;
        };
        const screen = { released: true, release: async () => { screen.released = true; } };
        navigator.wakeLock.request = async () => Object.assign(screen, { released: false });
        window.awake = () => !screen.released;"""
    )
    reader.page.goto(app.url)
    reader.ask("a story at length")
    reader.hears(200)
    told = "() => [navigator.mediaSession.metadata?.title ?? null, navigator.mediaSession.playbackState]"
    assert reader.page.evaluate(told) == ["a story at length", "playing"]
    reader.wait("awake()")
    reader.page.evaluate("actions.pause()")
    reader.wait("s.paused && s.rms < 0.0005")
    reader.sees(lambda: reader.page.evaluate(told)[1] == "paused")
    reader.wait("!awake()")
    reader.page.evaluate("actions.play()")
    reader.hears()
    reader.wait("awake()")
    reader.wait("Number(document.querySelector('#seek').max) > 4000")
    reader.page.evaluate("actions.seekto({ seekTime: 3 })")
    reader.wait("s.positionMs > 3000 && s.rms > 0.005")
    reader.page.evaluate("actions.previoustrack()")
    reader.wait("s.positionMs < 3000 && s.rms > 0.005")
    reader.page.evaluate("actions.stop()")
    reader.wait("s.turn === null")
    reader.sees(lambda: reader.page.evaluate(told) == [None, "none"])
    reader.wait("!awake()")


def asked_with(url: str, settings: dict[str, object], **request: str) -> str:
    """A session with one answer that is over."""
    with httpx.Client(base_url=url, timeout=30) as http:
        session: str = http.post("/v1/sessions", json={"settings": settings}).json()["session_id"]
        http.post(f"/v1/sessions/{session}/turns", json=request).raise_for_status()
        with http.stream("GET", f"/v1/sessions/{session}/events") as events:
            next(line for line in events.iter_lines() if '"turn.completed"' in line)
    return session


def test_an_answer_that_was_cut_says_so_and_goes_on_as_one_answer(
    open_page: OpenPage, app: RunningApp
) -> None:
    session = asked_with(app.url, {"max_tokens": 10}, prompt="a story")
    reader = open_page(f"/?session={session}", permissions=["clipboard-read", "clipboard-write"])
    reader.page.get_by_text("Cut off at its length limit").wait_for()
    assert reader.answer == STORY[: STORY.index("Ines.") + 6]  # 120 characters were written
    reader.page.get_by_role("button", name="Continue").click()
    turns = reader.page.locator(".turn")
    expect(turns).to_have_count(2)
    expect(reader.page.locator(".turn .prompt:visible")).to_have_text(["a story"])
    expect(turns.first.locator("footer")).to_be_hidden()
    reader.status_is("completed")
    part = STORY[: STORY.index("Ines.") + 5]
    turns.last.get_by_role("button", name="Copy", exact=True).click()
    copied = reader.page.evaluate("() => navigator.clipboard.readText()")
    assert [one.strip() for one in copied.partition("Ines.")[::2]] == [
        part.removesuffix("Ines.").strip(),
        part,
    ]
    reader.page.evaluate("() => scrollTo(0, 0)")
    turns.last.get_by_role("button", name="Play").click()
    first, second = (turn["turn"] for turn in session_log.turns(app.url, session))
    reader.wait("s.turn === arg && s.rms > 0.005", first)
    reader.wait("s.turn === arg && s.rms > 0.005", second)
    turns.last.get_by_role("button", name="Retry").click()
    expect(reader.page.locator(".turn .prompt")).to_have_text(["a story"])
    expect(reader.page.get_by_role("group", name="Versions")).to_have_text("2/2")
    reader.page.get_by_role("button", name="Previous version").click()
    expect(reader.page.locator(".turn .prompt:visible")).to_have_text(["a story"])
    expect(turns).to_have_count(2)
    assert reader.page.evaluate("document.activeElement.ariaLabel") == "Next version"


def test_a_silent_answer_can_be_read_aloud_later(open_page: OpenPage, app: RunningApp) -> None:
    session = asked_with(app.url, {"speak": False}, prompt="briefly")
    reader = open_page(f"/?session={session}")
    reader.page.get_by_role("button", name="Read aloud").click()
    reader.hears()
    assert reader.answer == SHORT


def test_a_text_that_is_read_aloud_is_titled_by_its_first_words_in_one_line(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.get_by_text("Text to speech", exact=True).click()
    for number, text in enumerate(("The lamp\n\n\nwas lit.", "x" * 80)):
        reader.ask(text)
        reader.page.locator(".turn").nth(number).wait_for()
    prompts = reader.page.locator(".turn .prompt")
    expect(prompts).to_have_text(["Text to speech: The lamp was lit.", f"Text to speech: {'x' * 60}…"])


def test_the_loudspeaker_ends_the_row_of_the_modes_while_nothing_plays(open_page: OpenPage) -> None:
    reader = open_page()
    for width in (1280, 390, 320):
        reader.page.set_viewport_size({"width": width, "height": 800})
        modes = reader.page.locator("#composer .modes").bounding_box()
        sound = reader.page.locator("#sound summary").bounding_box()
        assert modes is not None
        assert sound is not None
        assert modes["y"] - 8 <= sound["y"] <= modes["y"] + 8
        assert reader.page.locator("#transport, .transport").bounding_box()["height"] == 0  # type: ignore[index]
        reader.page.click("#sound summary")
        expect(reader.page.locator("#volume")).to_be_in_viewport()
        reader.page.keyboard.press("Escape")
    reader.ask("a story at length")
    reader.hears()
    assert reader.page.locator(".transport").bounding_box()["height"] > 30  # type: ignore[index]


def test_an_answer_can_be_copied_and_asked_for_again(open_page: OpenPage, app: RunningApp) -> None:
    session = asked_with(app.url, {"speak": False}, prompt="briefly")
    reader = open_page(f"/?session={session}", permissions=["clipboard-read", "clipboard-write"])
    reader.page.get_by_role("button", name="Copy", exact=True).click()
    expect(reader.page.get_by_role("button", name="Copied")).to_be_visible()
    assert reader.page.evaluate("() => navigator.clipboard.readText()") == SHORT
    reader.page.get_by_role("button", name="Retry").click()
    expect(reader.page.get_by_role("group", name="Versions")).to_have_text("2/2")
    expect(reader.page.locator(".turn .prompt")).to_have_text(["briefly"])
    reader.status_is("completed")
    assert reader.answer == SHORT
