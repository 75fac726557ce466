"""Voice mode: a conversation with nothing else in the window, what it shows, and the way out of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.appearance.test_targets_and_contrast import WIDTHS
from tests.browser.browser_microphone import CLUBS, WATCHED, YOUNG_MAN, Visit, asked, of_type, state_is
from tests.browser.conftest import STILL
from tests.browser.network_cable import Cable
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser

FIRST = "he was not an ill disposed young man"
REPLY = (
    "The lamp was lit as on every evening. The fox slept by the stove all night, and the keeper wrote "
    "a letter to her sister about the weather. She put the lamp out when the sun came up, and they went down "
    "to the boats. On the way back it rained, and both of them were wet when they came to the door."
)
NONE_LEFT = """() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
}"""
MOVING = {"reduced_motion": "no-preference"}
USUAL = {"color_scheme": "light", "forced_colors": "none", **STILL}
LOOKS: dict[str, dict[str, Any]] = {
    "desktop-light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **MOVING},
    "desktop-dark": {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", **MOVING},
    "small": {"viewport": {"width": 320, "height": 568}},
    "landscape": {"viewport": {"width": 844, "height": 390}, "color_scheme": "dark"},
    "forced": {"viewport": {"width": 768, "height": 1024}, "forced_colors": "active"},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("voice_mode"),
        llm={"reply": REPLY, "delta_chars": 24, "per_delta_ms": 20},
        tts={"ms_per_char": 60},
        stt={"by_ms": {3_300: FIRST, 60_000: FIRST}},
    )
    with running_app(settings) as running:
        yield running


def begin(reader: Reader) -> None:
    reader.page.get_by_role("button", name="Start a voice chat").click()
    expect(reader.page.locator("body[data-voice]")).to_have_count(1)


def in_each_look(page: Page, **always: Any) -> Iterator[str]:
    """The name of each of `LOOKS`, when the page has it, and what it `always` has."""
    for name, look in LOOKS.items():
        media = USUAL | look | always
        page.set_viewport_size(media.pop("viewport"))
        page.emulate_media(**media)
        yield name


def test_voice_mode_fits_every_window_and_axe_finds_nothing(visit: Visit, pictures: Path) -> None:
    """One conversation is shown in every look while it is heard, answered and paused."""
    reader = visit(0.3, YOUNG_MAN, 60.0)
    page = reader.page
    begin(reader)
    reader.wait("document.querySelector('.coming .firm')?.textContent.length > 3")
    for look in in_each_look(page):
        page.screenshot(path=pictures / f"voice-{look}-listening.png")
    asked(reader)
    state_is(reader, "speaking")
    reader.hears(900)
    for look in in_each_look(page):
        page.screenshot(path=pictures / f"voice-{look}-speaking.png")
        expect(page.locator(".sentence.speaking"), look).to_be_in_viewport()
        for control in ("#mute", "#hang-up", "#expand", "#voice-state"):
            expect(page.locator(control), look).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
    page.click("#pause")
    state_is(reader, "paused")
    for look in in_each_look(page, **STILL):  # axe reads colours that are on the move as they happen to be
        found = reader.violations()
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == [], look


def test_voice_mode_scrolls_sideways_at_no_width_and_its_buttons_are_free_at_400_percent(
    visit: Visit,
) -> None:
    reader = visit(0.3, CLUBS, 60.0)
    begin(reader)
    state_is(reader, "speaking")
    wide = []
    for width in WIDTHS:
        reader.page.set_viewport_size({"width": width, "height": 700})
        if reader.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(width)
    assert wide == []
    reader.page.set_viewport_size({"width": 320, "height": 256})
    for control in ("#mute", "#voice-options", "#expand", "#hang-up"):
        reader.page.locator(control).click(
            trial=True
        )  # in sight once it is scrolled to, and covered by nothing
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def colours(reader: Reader) -> set[str]:
    """Which of both voices the wave shows: "mine" is greener than red, "theirs" redder."""
    found: list[str] = reader.page.evaluate("""() => {
        const { width, height } = document.querySelector("#wave");
        const { data } = document.querySelector("#wave").getContext("2d").getImageData(0, 0, width, height);
        let [mine, theirs] = [0, 0];
        for (let at = 0; at < data.length; at += 4) {
            mine += data[at + 3] > 40 && data[at + 1] > data[at] + 40;
            theirs += data[at + 3] > 40 && data[at] > data[at + 2] + 80;
        }
        return [...(mine > 200 ? ["mine"] : []), ...(theirs > 200 ? ["theirs"] : [])];
    }""")
    return set(found)


def test_the_wave_is_of_who_speaks_and_the_state_is_in_words(visit: Visit) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0, **MOVING)
    begin(reader)
    words = reader.page.locator("#voice-state")
    state_is(reader, "hearing")
    expect(words).to_have_text("Listening")
    reader.sees(lambda: colours(reader) == {"mine"})
    state_is(reader, "speaking")
    expect(words).to_have_text("Speaking")
    reader.sees(lambda: colours(reader) == {"theirs"})
    reader.page.get_by_role("button", name="Pause").click()
    expect(words).to_have_text("Paused")
    reader.page.get_by_role("button", name="Mute").click()
    expect(words).to_have_text("Muted · Paused")


@pytest.mark.parametrize("way", ["Escape", "back", "End"])
def test_a_user_who_leaves_voice_mode_is_in_the_chat_and_not_listened_to(visit: Visit, way: str) -> None:
    reader = visit(0.3, CLUBS, 60.0)
    begin(reader)
    expect(reader.page.locator("#mute")).to_be_focused()
    question = asked(reader)
    reader.hears(100)
    if way == "back":
        reader.page.go_back()
    elif way == "Escape":
        reader.page.keyboard.press("Escape")
    else:
        reader.page.get_by_role("button", name="Stop listening").click()
    expect(reader.page.locator("body[data-voice]")).to_have_count(0)
    expect(reader.page.locator("#voice-bar")).to_be_hidden()
    expect(reader.page.locator("#microphone + #start-voice")).to_be_visible()
    reader.wait("s.turn === null")  # silence, too
    assert reader.page.url.endswith(f"?session={reader.session}")
    expect(reader.page.get_by_role("heading", name=question, level=2)).to_be_visible()
    expect(reader.page.locator("#sidebar")).to_be_visible()
    assert reader.page.evaluate("document.activeElement !== document.body")


def test_the_chat_can_be_shown_while_it_listens_and_a_question_typed(visit: Visit) -> None:
    reader = visit(60.0)
    reader.page.click("#microphone")
    state_is(reader, "listening")
    reader.page.get_by_role("button", name="Voice mode").click()
    reader.ask("tell me about the lamp")
    reader.hears(100)
    expect(reader.page.locator("body[data-voice]")).to_have_count(1)
    reader.page.get_by_role("button", name="Show the chat").click()
    expect(reader.page.locator("body[data-voice]")).to_have_count(0)
    state_is(reader, "speaking", "listening")
    expect(reader.page.get_by_role("button", name="Voice mode")).to_be_focused()


def test_space_is_held_to_talk_wherever_the_focus_is(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.2, YOUNG_MAN, 60.0, choices={"turn_detection": "manual"})
    begin(reader)
    state_is(reader, "ready")
    reader.page.focus("#hang-up")
    reader.page.keyboard.down(" ")
    state_is(reader, "hearing")
    reader.page.locator(".coming .loose, .coming .firm").first.wait_for()
    reader.page.keyboard.up(" ")
    asked(reader)
    assert [event["data"]["reason"] for event in of_type(app, reader, "speech.ended")] == ["commit"]


def test_a_microphone_that_is_refused_leads_back_with_a_reason(visit: Visit) -> None:
    reader = visit(1.0, allowed=False)
    reader.page.get_by_role("button", name="Start a voice chat").click()
    expect(reader.page.locator("#voice-trouble")).to_contain_text("blocked for this page")
    expect(reader.page.locator("body[data-voice]")).to_have_count(0)
    expect(reader.page.get_by_role("button", name="Start a voice chat")).to_be_visible()


def test_speech_without_a_connection_is_kept_and_the_state_says_so(visit: Visit, cable: Cable) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0, url=cable.url)
    begin(reader)
    reader.page.locator(".coming .firm, .coming .loose").first.wait_for()
    cable.pull()
    expect(reader.page.locator("#voice-state")).to_have_text("Reconnecting; what you say is kept")
    cable.plug()
    assert asked(reader) == FIRST


@pytest.mark.parametrize("saved", [False, True])
def test_the_first_time_the_user_is_asked_whether_audio_is_saved(
    visit: Visit, app: RunningApp, pictures: Path, saved: bool
) -> None:
    reader = visit(0.3, CLUBS, 60.0, consent=False)
    reader.page.get_by_role("button", name="Start a voice chat").click()
    question = reader.page.get_by_role("dialog", name="Save your audio?")
    expect(question.get_by_role("button", name="Text only")).to_be_focused()
    reader.page.screenshot(path=pictures / "consent.png")
    assert reader.violations() == []
    reader.page.keyboard.press("Escape")  # no answer: nobody listens, and it is asked again
    expect(question).to_be_hidden()
    expect(reader.page.locator("#voice-bar")).to_be_hidden()
    reader.page.get_by_role("button", name="Start a voice chat").click()
    question.get_by_role("button", name="Save my audio too" if saved else "Text only").click()
    asked(reader)
    assert [event["data"]["settings"]["record"] for event in of_type(app, reader, "input.opened")] == [saved]
    assert bool(of_type(app, reader, "input.audio")) == saved
    expect(reader.page.locator("#recorded")).to_be_visible(visible=saved)
    reader.page.reload()
    reader.page.click("#microphone")
    state_is(reader, "listening", "hearing")
    expect(question).to_be_hidden()


def test_another_microphone_goes_on_where_one_is_unplugged(visit: Visit, app: RunningApp) -> None:
    reader = visit(2.0, CLUBS, 60.0, choices={"record": True})
    reader.page.evaluate(WATCHED)
    begin(reader)
    state_is(reader, "listening")
    reader.page.evaluate("() => { tracks[0].stop(); tracks[0].dispatchEvent(new Event('ended')); }")
    expect(reader.page.locator("#voice-trouble")).to_contain_text("was disconnected. Listening goes on with")
    assert reader.page.evaluate("tracks.map(({ readyState }) => readyState)") == ["ended", "live"]
    assert asked(reader) == FIRST
    assert len(of_type(app, reader, "input.opened")) == 1  # what was said before and after is one input
    reader.page.evaluate(NONE_LEFT)
    reader.page.evaluate("() => { tracks[1].stop(); tracks[1].dispatchEvent(new Event('ended')); }")
    expect(reader.page.locator("#voice-trouble")).to_contain_text("was disconnected. Press the microphone")
    expect(reader.page.locator("body[data-voice]")).to_have_count(0)


def test_microphone_and_loudspeaker_are_chosen_and_tested_in_the_settings(
    visit: Visit, app: RunningApp, pictures: Path
) -> None:
    reader = visit(0.3, CLUBS, 60.0, permissions=["microphone"])
    reader.page.evaluate(WATCHED)
    reader.page.click("#settings-button")
    sheet = reader.page.get_by_role("dialog", name="Settings")
    microphone = sheet.get_by_label("Microphone", exact=True)
    reader.sees(lambda: microphone.locator("option").count() > 1)
    (_, second, *_) = names = microphone.locator("option").all_inner_texts()
    microphone.select_option(second)
    sheet.get_by_role("button", name="Test").first.click()
    meter = sheet.get_by_role("progressbar", name="Loudness of the microphone")
    reader.sees(lambda: float(meter.get_attribute("value") or 0) > 0.3)
    reader.page.screenshot(path=pictures / "settings-voice.png")
    assert reader.page.evaluate("tracks.at(-1).label") == second, names
    sheet.get_by_role("button", name="Stop").first.click()
    assert reader.page.evaluate("tracks.at(-1).readyState") == "ended"
    sheet.get_by_role("button", name="Test").last.click()
    expect(sheet.get_by_text("Two tones are played")).to_be_visible()
    reader.page.keyboard.press("Escape")  # Chromium in a test calls devices differently after a reload
    begin(reader)
    state_is(reader, "listening", "hearing")
    assert reader.page.evaluate("tracks.at(-1).label") == second


def test_language_pauses_and_sensitivity_reach_the_session(visit: Visit, app: RunningApp) -> None:
    reader = visit(60.0)
    reader.page.click("#settings-button")
    sheet = reader.page.get_by_role("dialog", name="Settings")
    sheet.get_by_label("Language you speak").select_option("German")
    sheet.get_by_label("Reply").select_option("Patient")
    sheet.get_by_label("Sensitivity").select_option("Low, for noisy rooms")
    reader.sees(lambda: "threshold" in reader.page.evaluate("localStorage['rhapsode:listening']"))
    reader.page.keyboard.press("Escape")
    begin(reader)
    state_is(reader, "listening")
    reader.page.click("#voice-options")
    sheet.get_by_label("Reply").select_option("Quick")
    reader.sees(lambda: len(of_type(app, reader, "input.opened")) == 2)
    told = [event["data"]["settings"] for event in of_type(app, reader, "input.opened")]
    assert [one["language"] for one in told] == ["de", "de"]
    ends = [one["endpointing"] for one in told]
    assert [(one["threshold"], one["silence_ms"], one["incomplete_ms"]) for one in ends] == [
        (0.7, 800, 8_000),
        (0.7, 300, 2_000),
    ]
