"""The main ways through the page in Firefox and in WebKit, with a loudspeaker and a microphone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser import session_log
from tests.browser.browser_microphone import YOUNG_MAN, record
from tests.browser.conftest import SHORT, STORY
from tests.browser.other_browsers.firefox import firefox
from tests.browser.other_browsers.sound_server import SoundServer, sound_server
from tests.browser.other_browsers.webkit import webkit
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenTab = Callable[[], Reader]
Launch = Callable[..., AbstractContextManager[OpenTab]]

LAST = ".turn:last-child"
ANSWERED = f"""document.querySelector('{LAST}[data-status="completed"] .prose')?.textContent === arg"""
WATCH_STATES = """() => {
  globalThis.states = [];
  const bar = document.querySelector("#voice-bar");
  const look = () => states.at(-1) !== bar.dataset.state && states.push(bar.dataset.state);
  new MutationObserver(look).observe(bar, { attributeFilter: ["data-state"] });
}"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    with sound_server(tmp_path_factory.mktemp("sound")) as running:
        yield running


@pytest.fixture(scope="module", params=[firefox, webkit], ids=["firefox", "webkit"])
def launch(
    request: pytest.FixtureRequest,
    playwright: Playwright,
    sound: SoundServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Launch:
    return partial(request.param, playwright, sound.environment, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def open_tab(launch: Launch) -> Iterator[OpenTab]:
    with launch(dark=False) as open_tab:
        yield open_tab


@pytest.fixture
def reader(open_tab: OpenTab, app: RunningApp) -> Iterator[Reader]:
    """A first visit. An error that is written to the console after it has loaded fails the test."""
    reader = open_tab()
    reader.page.goto(app.url)
    yield reader
    reader.close()


def test_an_answer_sounds_to_its_end_and_another_version_takes_its_place(
    reader: Reader, app: RunningApp
) -> None:
    assert reader.page.inner_text("#welcome h2") == "What would you like to hear?"
    reader.ask("briefly")
    reader.wait("document.querySelector('.word.said') && s.rms > 0.005")
    reader.wait(f"{ANSWERED} && s.turn === null && s.rms < 0.0005", SHORT)
    session = reader.page.evaluate("new URLSearchParams(location.search).get('session')")
    [turn] = session_log.turns(app.url, session)
    assert reader.stats["samplesPlayed"] == turn["audio_ms"] * 48, "all of it, once"
    reader.page.click(f"{LAST} footer button:has([href='#i-again'])")
    counted = "document.querySelector('.turn .versions:not([hidden]) .count')?.textContent === arg"
    reader.wait(counted, "2/2")
    reader.wait(ANSWERED, SHORT)
    reader.page.click(".versions button")
    reader.wait(counted, "1/2")
    reader.wait("document.activeElement.ariaLabel === 'Next version'")
    assert reader.page.evaluate("document.querySelectorAll('.turn').length") == 1


def test_a_reload_goes_on_where_one_was_and_stop_is_silence_until_the_next_question(reader: Reader) -> None:
    reader.ask("a story")
    reader.hears(reader.reloads_in_mid_answer())
    reader.wait(ANSWERED, STORY)
    reader.ask("a story without end")
    latest = f"Number(document.querySelector('{LAST}').dataset.turn)"
    reader.wait(f"document.querySelectorAll('.turn').length === 2 && s.turn === {latest}")
    reader.hears(200)
    reader.page.click("#stop")
    reader.wait(f"""document.querySelector('{LAST}[data-status="stopped"]') && s.turn === null""")
    reader.wait("s.rms < 0.0005")
    reader.ask("briefly")
    reader.hears(200)


def test_voice_mode_hears_a_question_answers_it_and_shows_its_states(
    reader: Reader, sound: SoundServer, tmp_path: Path
) -> None:
    reader.page.evaluate(WATCH_STATES)
    reader.page.click("#welcome .start-voice")
    reader.page.click("#consent .answers button")
    reader.wait("document.querySelector('body[data-voice] #voice-bar[data-state=listening]')")
    assert reader.page.inner_text("#voice-state") == "Listening"
    sound.say(record(tmp_path / "speech.wav", YOUNG_MAN, 0.5))
    reader.wait("document.querySelector('.turn .word.said') && s.rms > 0.005")
    assert reader.page.inner_text("#voice-state") == "Speaking"
    states = reader.page.evaluate("states")
    assert [one for one in states if one in ("hearing", "speaking")] == ["hearing", "speaking"], states
    reader.page.click("#hang-up")
    reader.wait("!document.querySelector('body[data-voice]') && document.querySelector('#voice-bar').hidden")


def test_formulas_are_typeset_code_has_colours_and_in_light_ones_nothing_scrolls_sideways(
    reader: Reader,
) -> None:
    reader.ask("in formulas")
    reader.wait("document.querySelectorAll('.prose math').length === 4")
    fraction = "document.querySelector('.prose math mfrac').getBoundingClientRect()"
    letter = "document.querySelector('.prose math mi').getBoundingClientRect()"
    assert reader.page.evaluate(f"{fraction}.height > 1.5 * {letter}.height"), "one stands above the other"
    reader.ask("in markdown")
    reader.wait(f"""document.querySelector('{LAST}[data-status="completed"] .code')""")
    reader.page.click("#stop")
    painted = "CSS.highlights?.get('code-keyword')?.size ?? 'none'"
    reader.wait(f"({painted}) === (CSS.highlights ? 2 : 'none')")
    fits(reader, dark=False)


def test_the_side_bar_leads_from_place_to_place_and_dark_colours_are_chosen_on_a_light_system(
    reader: Reader,
) -> None:
    for place, title in (("stories", "Stories"), ("library", "Characters"), ("chat", "New chat")):
        reader.page.click(f".places [data-place={place}]")
        reader.wait("document.querySelector('#heading').textContent === arg", title)
    reader.page.click("#settings-button")
    choice = "document.querySelector('dialog[open] select:has([value=dark])')"
    reader.wait(choice)
    reader.page.evaluate(f"() => {{ {choice}.value = 'dark'; {choice}.dispatchEvent(new Event('change')); }}")
    reader.wait(f"Math.max(...{BACKGROUND}) < 100")
    reader.page.reload()
    reader.wait(f"Math.max(...{BACKGROUND}) < 100")
    reader.page.evaluate("localStorage.clear()")


def test_in_dark_colours_nothing_scrolls_sideways(launch: Launch, app: RunningApp) -> None:
    with launch(dark=True) as open_tab:
        reader = open_tab()
        reader.page.goto(app.url)
        reader.ask("in markdown")
        reader.wait(f"""document.querySelector('{LAST}[data-status="completed"]')""")
        fits(reader, dark=True)
        reader.close()


def fits(reader: Reader, *, dark: bool) -> None:
    """An answer with a table and code, at two widths."""
    assert all((channel < 100) == dark for channel in reader.page.evaluate(BACKGROUND))
    reader.wait(f"document.querySelector('{LAST} table')")
    for width in (320, 1_280):
        reader.page.set_viewport_size({"width": width, "height": 700})
        reader.wait("innerWidth < arg", width + 150)
        assert reader.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
