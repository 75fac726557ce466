"""Reloading, joining late, losing the connection: nothing is lost and nothing comes twice."""

from collections.abc import Callable

import httpx
import orjson
import pytest
from playwright.sync_api import Route, expect

from pipeline.core.clock import SystemClock
from tests.browser import session_log
from tests.browser.conftest import SHORT, STORY
from tests.browser.network_cable import Cable
from tests.browser.page_reader import Reader
from tests.browser.test_page_controls import asked_with
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


def test_a_reload_in_the_middle_goes_on_where_one_was(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    reader.ask("a story")
    reader.hears(1_500)
    left_ms = reader.stats["positionMs"]
    reader.page.reload()
    reader.wait("document.querySelector('.prose')?.textContent.length > 20")
    assert STORY.startswith(reader.answer)
    reader.tap_if_asked()
    reader.wait("s.samplesPlayed > 0")
    assert 1_300 < reader.begun_ms < left_ms + 2_000
    reader.hears(2_000)
    reader.status_is("completed")
    assert reader.answer == STORY == session_log.turns(app.url, reader.session)[0]["answer"]


def test_a_second_tab_sees_and_hears_the_same(open_page: OpenPage, app: RunningApp) -> None:
    first = open_page()
    first.ask("a story")
    first.hears(1_500)
    second = open_page(first.page.url)
    second.tap_if_asked()
    second.hears()
    behind = first.stats["positionMs"] - second.stats["positionMs"]
    begun_ms = next(f["ts"] for f in session_log.events(app.url, first.session) if f["type"] == "audio.chunk")
    apart = SystemClock().now_ms() - begun_ms - second.stats["positionMs"]
    # Sound that could not be played for a while is heard later by who has it, and not by who comes later.
    assert behind < 1_500, "who comes later is not behind"
    assert abs(apart) < 1_500, "who comes later begins where the sound is by then, not at the start"
    first.status_is("completed")
    second.status_is("completed")
    assert first.answer == second.answer == STORY


def test_a_request_from_one_tab_is_heard_in_the_other(open_page: OpenPage) -> None:
    first = open_page()
    first.ask("briefly")
    first.wait("s.turn === null && s.samplesPlayed > 0")
    second = open_page(first.page.url)
    second.status_is("completed")
    second.wait("s.turn === null")  # it may still play the end of the first answer
    second.ask("a story")
    second.hears()
    first.hears()
    assert first.stats["turn"] == second.stats["turn"] == second.last_turn


def test_a_pulled_cable_loses_nothing_and_doubles_nothing(
    open_page: OpenPage, cable: Cable, app: RunningApp
) -> None:
    reader = open_page(cable.url)
    reader.ask("briefly. But why?")
    reader.wait("s.samplesPlayed > 0")
    cable.pull()
    reader.page.locator("#connection").get_by_text("Reconnecting…").wait_for()
    cable.plug()
    reader.page.locator("#connection").get_by_text("Connected", exact=True).wait_for()
    reader.wait("s.turn === null")
    turn = session_log.turns(app.url, reader.session)[0]
    assert reader.answer == turn["answer"] == SHORT
    assert reader.stats["samplesPlayed"] == turn["audio_ms"] * 48
    reader.sees(lambda: reader.stats["lastSeq"] == len(session_log.events(app.url, reader.session)))


def test_text_that_was_written_while_the_cable_was_out_comes_later(open_page: OpenPage, cable: Cable) -> None:
    reader = open_page(cable.url, voice=False)
    reader.ask("a story")
    reader.wait("document.querySelector('.prose')?.textContent.length > 5")
    cable.pull()
    reader.page.locator("#connection").get_by_text("Reconnecting…").wait_for()
    missed = reader.answer
    cable.plug()
    reader.status_is("completed")
    assert len(missed) < len(STORY)
    assert reader.answer == STORY


def test_an_answer_from_before_a_visit_does_not_begin_by_itself(open_page: OpenPage, app: RunningApp) -> None:
    first = open_page()
    first.ask("briefly")
    first.wait("s.turn === null && s.samplesPlayed > 0")
    later = open_page(first.page.url)
    later.status_is("completed")
    later.wait("s.turn === null")
    later.page.click("body")
    assert later.stats["turn"] is None
    later.page.click(".replay")
    later.wait("s.turn === null && s.samplesPlayed > 0")
    assert later.stats["samplesPlayed"] == session_log.turns(app.url, first.session)[0]["audio_ms"] * 48


HOLD_THE_PLAYER = """
const addModule = AudioWorklet.prototype.addModule;
AudioWorklet.prototype.addModule = async function (...wish) {
  await new Promise((resolve) => (globalThis.letThePlayerCome = resolve));
  return addModule.apply(this, wish);
};
"""


def test_play_that_is_pressed_before_the_player_has_come_counts(open_page: OpenPage, app: RunningApp) -> None:
    session = asked_with(app.url, {}, prompt="briefly")
    later = open_page("/web/icon.svg")
    later.page.add_init_script(HOLD_THE_PLAYER)
    later.page.goto(f"{app.url}/?session={session}")
    later.status_is("completed")
    later.page.click(".replay")
    later.page.wait_for_function("Boolean(globalThis.letThePlayerCome)")
    later.page.evaluate("letThePlayerCome()")
    later.wait("s.turn === null && s.samplesPlayed > 0")


def test_the_browser_that_wants_to_be_asked_is_asked_once(open_page: OpenPage) -> None:
    first = open_page()
    first.ask("a story")
    first.hears()
    second = open_page("/web/icon.svg")
    # Whatever Playwright asks a page counts as a touch, so nothing is asked until the sound is ready.
    with second.page.expect_websocket(lambda socket: "audio=opus" in socket.url):
        second.page.goto(first.page.url)
    second.page.get_by_role("button", name="Tap to play").click()
    second.hears(500)
    assert not second.page.is_visible("#unlock")


def test_a_tab_that_was_never_allowed_to_sound_tells_of_nothing_heard(
    open_page: OpenPage, app: RunningApp
) -> None:
    session, turn = asked_by_somebody_else(app.url)
    reader = open_page("/web/icon.svg")
    with reader.page.expect_websocket(
        lambda socket: "audio=opus" in socket.url
    ):  # as above: ask it nothing yet
        reader.page.goto(f"{app.url}/?session={session}")
    joined = reader.stats
    assert (joined["turn"], joined["contextState"]) == (turn, "suspended")
    assert joined["positionMs"] > 900
    httpx.post(f"{app.url}/v1/sessions/{session}/control", json={"action": "stop", "turn": turn}, timeout=30)
    reader.wait("s.turn === null")
    reader.ask("briefly")  # on the same connection, after all that the page had to tell
    reader.hears(100)
    told = {
        event["turn"] for event in session_log.events(app.url, session) if event["type"] == "playback.heard"
    }
    assert turn not in told


def test_a_late_tab_tells_what_it_heard_once_it_sounds(open_page: OpenPage, app: RunningApp) -> None:
    session, turn = asked_by_somebody_else(app.url)
    reader = open_page(f"/?session={session}")
    reader.tap_if_asked()
    reader.wait("s.samplesPlayed > 48 * 1000")  # beyond where it came in, also for a slow loudspeaker
    reader.look_up()
    reader.page.keyboard.press("Space")
    reader.wait("s.paused && s.rms < 0.0005")
    paused_at = reader.stats["positionMs"]
    reader.page.keyboard.press(
        "ArrowRight"
    )  # the rest of this sentence is left out, and the next one not begun
    reader.page.keyboard.press("Escape")
    reader.wait("s.turn === null")
    reader.ask("briefly")
    reader.hears(100)
    reader.wait("s.turn === null")  # long after all that there was to tell of the first turn
    heard = [
        event["data"]["heard_ms"]
        for event in session_log.events(app.url, session)
        if event["type"] == "playback.heard" and event["turn"] == turn
    ]
    assert paused_at - 200 < heard[-1] <= paused_at


def asked_by_somebody_else(url: str) -> tuple[str, int]:
    """A session with a long answer of which a second has been heard, and that answer's turn.

    Half a second more may have gone by before the second sentence's sound had come.
    """
    with httpx.Client(base_url=url, timeout=30) as http:
        session = http.post("/v1/sessions", json={}).raise_for_status().json()["session_id"]
        asked = http.post(f"/v1/sessions/{session}/turns", json={"prompt": "at length"}).raise_for_status()
        with http.stream("GET", f"/v1/sessions/{session}/events") as told:
            events = (orjson.loads(line[6:]) for line in told.iter_lines() if line.startswith("data: {"))
            begun = next(event["ts"] for event in events if event.get("type") == "audio.chunk")
            next(event for event in events if event.get("ts", 0) > begun + 1_500)
    return session, asked.json()["turn"]


def test_a_link_to_nowhere_says_so(open_page: OpenPage) -> None:
    reader = open_page("/?session=0190a000-0000-7000-8000-000000000000")
    reader.page.get_by_text("There is no such session").wait_for()
    reader.page.get_by_role("link", name="Start a new one").click()
    reader.page.get_by_role("heading", name="What would you like to hear?").wait_for()


def test_a_long_session_keeps_only_its_latest_turns_unfolded(open_page: OpenPage, app: RunningApp) -> None:
    with httpx.Client(base_url=app.url, timeout=30) as http:
        session = http.post("/v1/sessions", json={"settings": {"speak": False}}).json()["session_id"]
        http.post(f"/v1/sessions/{session}/turns", json={"prompt": "without end"}).raise_for_status()
        for number in range(11):
            text = f"Turn {number}. " + "It goes on for a while. " * 10
            http.post(f"/v1/sessions/{session}/turns", json={"text": text}).raise_for_status()
    reader = open_page(f"/?session={session}")
    reader.page.locator('.turn[data-status="queued"]').nth(10).wait_for()  # as they come, not as they end
    httpx.post(f"{app.url}/v1/sessions/{session}/control", json={"action": "stop"}, timeout=30)
    reader.status_is("completed")
    folded = reader.page.locator(".turn.folded")
    assert folded.count() == 4
    folded.nth(1).get_by_role("button", name="Show").click()
    assert folded.count() == 3
    shown = reader.page.locator(".turn .prose").nth(1)
    expect(shown).to_have_text("Turn 0. " + "It goes on for a while. " * 10)


def test_a_lost_connection_is_told_where_one_looks_and_told_away_again(
    open_page: OpenPage, cable: Cable
) -> None:
    reader = open_page(cable.url)
    reader.ask("a story at length")
    reader.hears(200)
    announced = reader.page.locator("#announcer")
    cable.pull()
    expect(announced).to_have_text("Reconnecting…")
    for width in (320, 820, 1_280):
        reader.page.set_viewport_size({"width": width, "height": 720})
        words = reader.page.locator("#connection").get_by_text("Reconnecting…").bounding_box()
        assert words is not None
        assert words["width"] > 50, "the state is in words at every width"
        assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    reader.ask("briefly")
    problem = reader.page.locator("#problem")
    expect(problem).to_contain_text("cannot be reached")
    assert reader.page.input_value("#text") == "briefly"
    cable.plug()
    expect(announced).not_to_have_text("Reconnecting…")
    expect(problem).to_be_hidden()
    reader.page.context.set_offline(True)
    notice = reader.page.get_by_text("You are offline.")
    expect(notice).to_be_visible()
    reader.ask("briefly, once more")
    sending = reader.page.get_by_text("Sending: briefly, once more")
    expect(sending).to_be_visible()
    expect(notice).to_be_visible()
    reader.page.context.set_offline(False)
    expect(notice).to_be_hidden()
    expect(sending).to_be_hidden()
    reader.ask("a story without end")
    reader.status_is("running")
    reader.page.context.set_offline(True)
    reader.page.keyboard.press("Escape")
    reader.page.context.set_offline(False)
    reader.status_is("stopped")


def test_a_stop_counts_for_a_question_that_is_still_being_sent(open_page: OpenPage) -> None:
    reader = open_page()
    reader.ask("briefly")
    reader.status_is("completed")
    held: list[Route] = []
    reader.page.route("**/message/stream", lambda route: held.append(route))
    reader.ask("a story without end")
    reader.sees(lambda: len(held) == 1)
    reader.page.keyboard.press("Escape")
    held[0].continue_()
    reader.status_is("stopped")


def test_a_part_that_cannot_be_loaded_says_so_and_is_loaded_later(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.locator(".history").wait_for()
    reader.page.context.set_offline(True)
    reader.page.click("#settings-button")
    expect(reader.page.get_by_text("This part of the page could not be loaded.")).to_be_visible()
    reader.page.context.set_offline(False)
    reader.page.click("#settings-button")
    expect(reader.page.get_by_role("dialog", name="Settings")).to_be_visible()


def test_a_part_that_a_chat_loads_by_itself_is_loaded_again_by_itself(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page("/web/icon.svg", voice=False)
    refused: list[str] = []

    def refuse_twice(route: Route) -> None:
        if len(refused) == 2:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    reader.page.route("**/soon.part.js*", refuse_twice)
    reader.page.goto(app.url)
    reader.ask("briefly")
    expect(reader.page.locator(".turn .prose")).to_be_visible()
    expect(reader.page.locator("#microphone")).to_be_visible()
    assert len(refused) == 2


def test_a_server_in_trouble_is_told_in_words_and_what_was_typed_stays(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.page.route("**/v1/threads", lambda route: route.fulfill(status=502, body="Bad gateway"))
    reader.ask("briefly")
    expect(reader.page.locator("#problem")).to_contain_text("The server has trouble and did not do it (502).")
    assert reader.page.input_value("#text") == "briefly"
    reader.page.unroute("**/v1/threads")
    reader.page.click("#send")
    reader.status_is("completed")
