"""The settings of narration: kept as soon as they are changed, with a word beside each."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story
from tests.support.running_app import RunningApp

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("default_settings")]
OpenPage = Callable[..., Reader]


def settings(reader: Reader) -> Locator:
    reader.page.get_by_role("button", name="Settings").click()
    sheet = reader.page.get_by_role("dialog", name="Settings")
    expect(sheet.get_by_label("Read while writing")).to_be_visible()
    return sheet


def test_settings_survive_a_reload(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    expect(sheet.get_by_text("A chat has its speed and speaker beside its player.")).to_have_count(3)
    sheet.get_by_label("Read while writing").check()
    sheet.get_by_label("Minimum chunk length").fill("35")
    sheet.get_by_label("Speed").fill("1.25")
    sheet.get_by_label("Voice", exact=True).select_option("alto")
    sheet.get_by_role("button", name="Add").click()
    sheet.get_by_role("textbox", name="Parameter").fill("warmth")
    sheet.get_by_label("Its value").fill("0.7")
    sheet.get_by_label("Its value").press("Enter")
    expect(sheet.get_by_role("group", name="Advanced parameters")).to_contain_text("Saved")
    sheet.get_by_label("Timeout").focus()
    reader.page.keyboard.press("Escape")
    expect(reader.page.get_by_label("Write and read aloud")).to_be_checked()
    reader.page.reload()
    sheet = settings(reader)
    expect(sheet.get_by_label("Read while writing")).to_be_checked()
    expect(sheet.get_by_label("Minimum chunk length")).to_have_value("35")
    expect(sheet.get_by_label("Speed")).to_have_value("1.25")
    expect(sheet.get_by_label("Voice", exact=True)).to_have_value("alto")
    expect(sheet.get_by_label("Its value")).to_have_value("0.7")
    sheet.get_by_text("Change history").click()
    expect(sheet.get_by_role("listitem").filter(has_text="Speed: 1.25")).to_have_count(1)


def test_settings_are_found_by_their_words(open_page: OpenPage) -> None:
    sheet = settings(open_page())
    query = sheet.get_by_role("searchbox", name="Search the settings")
    query.fill("push to")
    expect(sheet.get_by_label("Push to talk")).to_be_visible()
    expect(sheet.get_by_label("Speed")).to_be_hidden()
    expect(sheet.get_by_text("Voice of stories")).to_be_hidden()
    query.fill("voice of")
    expect(sheet.get_by_label("Speed")).to_be_visible()
    query.fill("xyzzy")
    expect(sheet.get_by_text("No setting has these words.")).to_be_visible()
    query.fill("")
    expect(sheet.get_by_label("Push to talk")).to_be_visible()


@pytest.mark.parametrize(("system", "chosen", "colour"), [("light", "dark", 20), ("dark", "light", 250)])
def test_a_scheme_is_chosen_against_that_of_the_system(
    open_page: OpenPage, system: str, chosen: str, colour: int
) -> None:
    reader = open_page(color_scheme=system)
    red = "Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"
    bars = (
        "[...document.querySelectorAll('meta[name=theme-color]')].filter((m) => matchMedia(m.media).matches)"
    )
    before = reader.page.evaluate(red)
    assert abs(before - colour) > 200
    settings(reader).get_by_label("Appearance").select_option(chosen)
    assert reader.page.evaluate(red) == colour
    reader.page.reload()
    reader.wait("true")
    assert reader.page.evaluate(red) == colour
    assert reader.page.evaluate(f"{bars}.map((m) => m.dataset.scheme)") == [chosen]
    settings(reader).get_by_label("Appearance").select_option("")
    assert reader.page.evaluate(red) == before


def test_a_typed_setting_stays_while_another_is_being_saved(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    held: list[Route] = []
    reader.page.route("**/api/tts/settings", lambda route: held.append(route))
    sheet.get_by_label("Read while writing").check()
    field = sheet.get_by_label("Minimum chunk length")
    field.press_sequentially("7")
    typed = field.input_value()
    while not held:
        reader.page.wait_for_timeout(20)
    held.pop().continue_()
    expect(sheet.get_by_text("Saved")).to_be_visible()
    assert field.input_value() == typed


def test_a_value_that_cannot_be_is_refused_beside_its_field(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    field = sheet.get_by_label("Minimum chunk length")
    field.fill("9999")
    field.press("Tab")
    expect(sheet.get_by_role("alert").filter(has_text="A number from 1 to 500")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("30")
    field.press("Tab")
    expect(field).to_have_attribute("aria-invalid", "false")


def test_without_narration_nothing_is_offered_to_be_read_aloud(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    sheet.get_by_label("Read scenes out").uncheck()
    expect(sheet.get_by_text("Saved")).to_be_visible()
    reader.page.keyboard.press("Escape")
    expect(reader.page.get_by_label("Write and read aloud")).to_be_disabled()


def test_while_nothing_is_read_out_what_depends_on_it_is_disabled(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    dependent = [sheet.get_by_label(label) for label in ("Read while writing", "Auto-play last scene")]
    for switch in dependent:
        expect(switch).to_be_enabled()
        expect(switch).to_have_css("opacity", "1")
    sheet.get_by_label("Read scenes out").uncheck()
    for switch in dependent:
        expect(switch).to_be_disabled()
        expect(switch).to_have_css("opacity", "0.5")
    reader.page.reload()
    sheet = settings(reader)
    expect(sheet.get_by_label("Auto-play last scene")).to_be_disabled()
    sheet.get_by_label("Read scenes out").check()
    expect(sheet.get_by_label("Auto-play last scene")).to_be_enabled()


_GROUPS = """(select) => [...select.querySelectorAll("optgroup")].map(({ label, children }) =>
    [label, [...children].map(({ value }) => value)])"""


def test_voices_are_listed_in_a_group_for_each_language(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    voices = sheet.get_by_label("Voice", exact=True)
    assert voices.evaluate(_GROUPS) == [["Every language", ["joe", "alto"]]]
    sheet.get_by_label("Speech provider").select_option("cloud")
    expect(voices.locator("optgroup")).to_have_count(2)
    assert voices.evaluate(_GROUPS) == [["English", ["alto"]], ["German", ["joe"]]]
    voices.select_option("joe")
    expect(sheet.get_by_text("Saved").first).to_be_visible()
    expect(voices).to_have_value("joe")


def test_a_voice_can_be_listened_to(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    sheet.get_by_label("Voice", exact=True).select_option("alto")
    with reader.page.expect_response("**/api/tts/voices/alto/preview*") as answer:
        sheet.get_by_role("button", name="Listen").click()
    assert answer.value.headers["content-type"].startswith("audio/")
    expect(sheet.get_by_role("button", name="Stop")).to_be_visible()


def test_a_voice_is_not_played_twice_nor_to_who_has_closed_the_settings(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(new_story(app.url))
    played = "window.played = 0; Audio.prototype.play = async () => { window.played += 1; };"
    released = "window.released = 0; URL.revokeObjectURL = () => { window.released += 1; };"
    reader.page.evaluate(f"() => {{ {played} {released} }}")
    asked: list[Route] = []
    reader.page.route("**/api/tts/voices/*/preview*", lambda route: asked.append(route))
    sheet = settings(reader)
    for _ in range(2):
        sheet.locator("button.preview").click()
    reader.sees(lambda: len(asked) == 1)
    reader.page.keyboard.press("Escape")
    asked[0].continue_()
    reader.wait("window.released === 1")
    assert reader.page.evaluate("window.played") == 0
    assert len(asked) == 1


def test_models_of_the_server_are_shown_with_what_is_in_use_and_what_would_fit(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(new_story(app.url))
    sheet = settings(reader)
    sheet.get_by_text("Models", exact=True).click()
    voices = sheet.locator("section").filter(has=reader.page.get_by_role("heading", name="Voices"))
    expect(voices.get_by_role("listitem").filter(has_text="packaged-voice")).to_contain_text("in use")
    german = voices.get_by_role("listitem").filter(has_text="piper-de_de-thorsten-medium")
    expect(german).to_contain_text("German, 63 MB, would fit")
    expect(sheet.get_by_text("rhapsode models use NAME")).to_be_visible()
