"""The developer panel: what a turn took, the session's settings, code for it, and its events."""

import re
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SHORT
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture
def opened(open_page: OpenPage) -> Reader:
    """A page with an answer and the panel beside it."""
    reader = open_page(viewport={"width": 1400, "height": 900})
    reader.page.get_by_role("button", name="Developer panel").click()
    reader.ask("briefly")
    reader.status_is("completed")
    return reader


def test_the_latency_and_the_engines_of_the_turn_are_shown(opened: Reader) -> None:
    panel = opened.page.get_by_role("complementary", name="Developer panel")
    steps = panel.locator(".latency li")
    expect(steps.locator("span")).to_have_text(["asked", "first token", "first audio", "heard"])
    numbers = [step.inner_text().split()[0] for step in steps.locator("b").all()[:3]]
    asked, token, audio = map(int, numbers)
    assert asked == 0 <= token <= audio
    expect(panel.locator("dl")).to_contain_text("completed")
    expect(panel.locator("dl")).to_contain_text("characters")


def test_settings_are_changed_for_the_session_and_refusals_are_told(opened: Reader, app: RunningApp) -> None:
    page = opened.page
    page.get_by_text("Session settings").click()
    modes = page.get_by_label("Transcription").locator("option")
    expect(modes).to_have_text(["Fast", "Accurate", "Legacy: whole answers"])
    expect(page.get_by_label("Transcribe in both ways")).to_be_visible()
    page.get_by_label("System prompt").fill("Answer in verse.")
    page.get_by_label("Temperature").fill("0.4")
    page.get_by_label("Silence that ends speech, ms").fill("700")
    page.get_by_label("Silence that ends speech, ms").blur()

    def settings() -> dict[str, object]:
        return httpx.get(f"{app.url}/v1/sessions/{opened.session}", timeout=30).json()["settings"]  # type: ignore[no-any-return]

    opened.sees(lambda: settings()["listening"]["endpointing"]["silence_ms"] == 700)  # type: ignore[index]
    assert (settings()["system_prompt"], settings()["temperature"]) == ("Answer in verse.", 0.4)
    values = "(all) => all.map(({ value }) => value)"
    expect(page.locator("#llm-models option")).to_have_count(2)
    assert page.locator("#llm-models option").evaluate_all(values) == ["tea-1", "tea-2"]
    assert page.locator("#llm-providers option").evaluate_all(values) == ["tea"]
    page.get_by_label("Model provider").fill("nobody")
    page.get_by_label("Model provider").blur()
    expect(page.locator("#developer label:has-text('Model provider') + .problem")).to_contain_text("nobody")


def test_events_are_filtered_and_shown_as_json_and_code_names_the_session(opened: Reader) -> None:
    page = opened.page
    page.get_by_label("Filter events").fill("text.completed")
    expect(page.get_by_text(re.compile(r"^Events \(\d+\)$"))).to_be_visible()
    for words in ("event", "fact", "cursor"):
        expect(page.locator("#page")).not_to_contain_text(words, ignore_case=True)
    page.get_by_label("Filter events").fill("nothing of the kind")
    expect(page.get_by_text("No events match.")).to_be_visible()
    page.get_by_label("Filter events").fill("text.completed")
    expect(page.get_by_text("No events match.")).to_be_hidden()
    events = page.locator("#developer .events > li")
    page.get_by_label("Filter events").fill("turn:1 text.completed")
    expect(events).to_have_count(1)
    events.locator("summary").click()
    expect(events.locator("pre")).to_contain_text('"finish": "stop"')
    page.get_by_text("View code").click()
    for language, word in (
        ("curl", "curl -X POST"),
        ("Python", "import httpx"),
        ("JavaScript", "EventSource"),
    ):
        page.get_by_label("Language of the code").select_option(language)
        expect(page.locator("#developer code")).to_contain_text(word)
        expect(page.locator("#developer code")).to_contain_text(opened.session)


def test_the_code_in_python_asks_in_the_session(opened: Reader) -> None:
    opened.page.get_by_text("View code").click()
    opened.page.get_by_label("Language of the code").select_option("Python")
    code = opened.page.locator("#developer code").text_content() or ""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert '"turn.completed"' in done.stdout
    expect(opened.page.locator(".turn .prompt").last).to_have_text("Hello!")


def test_two_models_or_voices_are_compared_on_one_question(opened: Reader, app: RunningApp) -> None:
    page = opened.page
    page.get_by_role("link", name="Compare two models or voices").click()
    page.reload()  # nothing has been heard yet
    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()
    left, right = (
        page.get_by_role("region", name="A", exact=True),
        page.get_by_role("region", name="B", exact=True),
    )
    expect(page.locator("#composer .modes label")).to_be_hidden()  # there is no choice
    left.get_by_label("Model provider").fill("nobody")
    opened.ask("compared briefly")
    expect(page.locator("#problem")).to_contain_text("nobody")
    assert page.input_value("#text") == "compared briefly"
    left.get_by_label("Model provider").fill("")
    right.get_by_label("Voice").select_option("alto")
    right.get_by_label("Temperature").fill("0.1")
    page.click("#send")
    for column in (left, right):
        expect(column.locator(".prose")).to_have_text(SHORT)
        expect(column.locator(".latency span")).to_have_text(["asked", "first token", "first audio", "heard"])
    expect(left.locator(".facts")).to_contain_text("joe")
    expect(right.locator(".facts")).to_contain_text("alto")
    right.get_by_role("button", name="Play").click()
    opened.hears()
    expect(right.locator(".word.said").first).to_be_visible()
    expect(left.locator(".word.said")).to_have_count(0)
    heard = httpx.get(f"{app.url}/v1/sessions/{opened.stats['session']}", timeout=30).json()
    assert (heard["settings"]["voice"], heard["settings"]["temperature"]) == ("alto", 0.1)
    page.get_by_label("Show in the history").select_option("API requests and comparisons")
    expect(page.locator(".history").get_by_role("link", name="compared briefly")).to_have_count(2)
    opened.ask("at length")  # in the same two sessions
    expect(left.locator(".prompt")).to_have_text("at length")
    page.keyboard.press("Escape")
    expect(left.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(right.locator(".prompt")).to_have_text("compared briefly")


def test_the_panel_is_remembered_reachable_and_fits_every_width(opened: Reader) -> None:
    page = opened.page
    assert opened.violations() == []
    page.reload()
    expect(page.locator("#developer")).to_be_visible()
    for width in (1280, 1024, 700, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    for place in ("compare", "stories"):
        page.goto(f"{page.url.partition('?')[0]}?{place}")
        expect(
            page.get_by_text("In a chat or a story, the figures of the latest answer stand")
        ).to_be_visible()
    page.get_by_role("button", name="Close the developer panel").click()
    expect(page.locator("#developer")).to_be_hidden()
    assert page.evaluate("document.activeElement !== document.body")
