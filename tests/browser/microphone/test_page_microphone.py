"""Speaking to the page: what is said becomes a question, whatever the network and the browser do."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import session_log
from tests.browser.browser_microphone import (
    AMIABLE,
    CLUBS,
    YOUNG_MAN,
    Visit,
    asked,
    of_type,
    record,
    state_is,
)
from tests.browser.conftest import STILL
from tests.browser.network_cable import Cable
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser

FIRST = "he was not an ill disposed young man"
SECOND = "he might even have been made amiable himself"
REPLY = "The lamp was lit as on every evening. The fox slept by the stove all night."


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("microphone"),
        llm={"reply": REPLY, "delta_chars": 24, "per_delta_ms": 20},
        tts={"ms_per_char": 30},
        stt={"by_ms": {3_300: FIRST, 60_000: SECOND}},
    )
    with running_app(settings) as running:
        yield running


def test_speech_becomes_a_question_and_is_answered_aloud(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0)
    reader.page.get_by_role("button", name="Talk", exact=True).click()
    state_is(reader, "listening", "hearing")
    assert not reader.page.is_visible("#recorded")
    state_is(reader, "hearing")
    reader.wait("document.querySelector('.coming .firm')?.textContent.length > 3")
    assert FIRST.startswith(reader.page.inner_text(".coming .firm"))
    assert asked(reader) == FIRST
    assert not reader.page.is_visible("#speech")
    reader.hears(300)
    state_is(reader, "speaking")
    reader.wait("s.turn === null")
    state_is(reader, "listening")
    opened = of_type(app, reader, "input.opened")
    assert [(event["data"]["format"], event["data"]["rate"]) for event in opened] == [("opus", 48_000)]
    ends = reader.page.get_by_role("button", name="Stop listening")
    expect(ends).to_have_count(1)
    expect(reader.page.get_by_role("button", name="Talk", exact=True)).to_have_count(0)
    ends.click()
    expect(reader.page.locator("#voice-bar")).to_be_hidden()

    def heard() -> list[int]:
        return [event["data"]["heard_ms"] for event in of_type(app, reader, "playback.heard")]

    reader.sees(lambda: heard()[-1] == session_log.turns(app.url, reader.session)[0]["audio_ms"])
    assert heard() == sorted(heard())


@pytest.mark.parametrize(
    ("parts", "allowed", "words"),
    [((1.0,), False, "blocked for this page"), ((), True, "No microphone was found")],
    ids=["denied", "absent"],
)
def test_a_microphone_that_cannot_be_had_says_what_to_do(
    visit: Visit, pictures: Path, parts: tuple[float, ...], allowed: bool, words: str
) -> None:
    reader = visit(*parts, allowed=allowed)
    reader.page.click("#microphone")
    trouble = reader.page.locator("#voice-trouble")
    expect(trouble).to_contain_text(words)
    expect(trouble).to_contain_text("press the microphone again")
    reader.page.screenshot(path=pictures / f"microphone-{'absent' if allowed else 'denied'}.png")
    assert "session=" not in reader.page.url  # nothing was begun for it
    expect(reader.page.locator("#voice-bar")).to_be_hidden()


def test_nothing_that_is_said_is_lost_while_the_cable_is_out(
    visit: Visit, app: RunningApp, cable: Cable
) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0, url=cable.url, choices={"record": True})
    reader.page.click("#microphone")
    reader.page.locator(".coming .firm, .coming .loose").first.wait_for()
    cable.pull()
    state_is(reader, "reconnecting")
    cable.plug()
    assert asked(reader) == FIRST
    pieces = [event["data"] for event in of_type(app, reader, "input.audio")]
    assert len({piece["input"] for piece in pieces}) == 1
    ends = [piece["at_ms"] + piece["ms"] for piece in pieces]
    assert [piece["at_ms"] for piece in pieces] == [0, *ends[:-1]]
    assert len(of_type(app, reader, "turn.requested")) == 1


FAILS_SOON = """globalThis.AudioEncoder = class extends AudioEncoder {
    constructor(init) {
        super(init);
        setTimeout(() => (this.close(), init.error(new DOMException("It broke", "EncodingError"))), 1500);
    }
}"""


@pytest.mark.parametrize(
    ("script", "formats"),
    [("delete globalThis.AudioEncoder", ["pcm16"]), (FAILS_SOON, ["opus", "pcm16"])],
    ids=["none", "fails"],
)
def test_without_an_encoder_samples_are_sent_and_nothing_is_lost(
    visit: Visit, app: RunningApp, script: str, formats: list[str]
) -> None:
    reader = visit(1.0, CLUBS, 60.0, choices={"record": True})
    reader.page.evaluate(f"() => {{ {script} }}")
    reader.page.click("#microphone")
    assert asked(reader) == FIRST
    opened = [event["data"] for event in of_type(app, reader, "input.opened")]
    assert [one["format"] for one in opened] == formats
    pieces = [event["data"] for event in of_type(app, reader, "input.audio")]
    ends = [piece["at_ms"] + piece["ms"] for piece in pieces]
    assert [piece["at_ms"] for piece in pieces] == [0, *ends[:-1]]


def test_holding_the_button_is_talking_and_letting_go_is_asking(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.2, YOUNG_MAN, 0.5, AMIABLE, 60.0, choices={"turn_detection": "manual"})
    button = reader.page.get_by_role("button", name="Hold to talk")
    button.hover()
    reader.page.mouse.down()
    state_is(reader, "hearing")
    reader.page.locator(".coming .loose, .coming .firm").first.wait_for()
    reader.page.mouse.up()
    asked(reader)
    state_is(reader, "ready", "thinking", "speaking")
    ended = of_type(app, reader, "speech.ended")
    assert [event["data"]["reason"] for event in ended] == ["commit"]
    assert of_type(app, reader, "input.opened")[0]["data"]["settings"]["turn_detection"] == "manual"


def test_space_on_the_button_holds_it_and_escape_takes_it_back(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.2, YOUNG_MAN, 0.3, AMIABLE, 60.0, choices={"turn_detection": "manual"})
    reader.page.get_by_role("button", name="Hold to talk").focus()
    reader.page.keyboard.down(" ")
    reader.page.locator(".coming").wait_for()
    reader.page.keyboard.press("Escape")
    expect(reader.page.locator("#speech")).to_be_hidden()
    reader.page.keyboard.up(" ")
    state_is(reader, "ready")
    assert [event["data"]["utterance"] for event in of_type(app, reader, "speech.discarded")] == [0]
    assert of_type(app, reader, "turn.requested") == []


def test_a_muted_microphone_gives_nothing_away(visit: Visit, app: RunningApp) -> None:
    reader = visit(2.0, CLUBS, 60.0, choices={"record": True})
    reader.page.click("#microphone")
    state_is(reader, "listening")
    expect(reader.page.locator("#recorded")).to_be_visible()
    reader.page.get_by_role("button", name="Mute").click()
    state_is(reader, "muted")
    reader.wait("document.querySelector('#level').ariaValueNow === '0'")
    assert reader.page.get_attribute("#mute", "aria-pressed") == "true"
    expect(reader.page.locator("#recorded")).to_be_hidden()
    reader.page.get_by_role("button", name="Mute").click()
    state_is(reader, "listening", "hearing")


@pytest.mark.parametrize("saved", [False, True])
def test_audio_is_saved_only_for_users_who_choose_it(visit: Visit, app: RunningApp, saved: bool) -> None:
    reader = visit(2.0, CLUBS, 60.0, choices=None if saved else {"record": True})
    reader.page.click("#microphone")
    state_is(reader, "listening")
    reader.page.click("#voice-options")
    reader.page.get_by_label("Save my audio").click()
    expect(reader.page.locator("#recorded")).to_be_visible(visible=saved)
    asked(reader)
    opened = of_type(app, reader, "input.opened")
    assert [event["data"]["settings"]["record"] for event in opened] == [not saved, saved]
    latest = opened[-1]["data"]["input"]
    kept = [event for event in of_type(app, reader, "input.audio") if event["data"]["input"] == latest]
    assert bool(kept) == saved


def test_the_way_is_chosen_in_the_settings_and_counts_for_the_next_session_too(
    visit: Visit, app: RunningApp
) -> None:
    reader = visit(0.3, CLUBS, 60.0)
    reader.page.click("#settings-button")
    sheet = reader.page.get_by_role("dialog", name="Settings")
    expect(sheet.get_by_role("radio")).to_have_count(2)  # Legacy is in the developer panel
    expect(sheet.get_by_text(re.compile("both ways|legacy", re.IGNORECASE))).to_have_count(0)
    for name in ("Push to talk", "Save my audio"):
        expect(reader.page.get_by_role("switch", name=name)).to_have_count(1)
    reader.page.get_by_role("radio", name="Accurate").check()
    reader.page.get_by_text("Saved", exact=True).wait_for()
    reader.page.keyboard.press("Escape")
    reader.page.click("#microphone")
    asked(reader)
    assert [event["data"]["mode"] for event in of_type(app, reader, "transcript.final")] == ["quality"]
    reader.page.click("#settings-button")
    assert reader.page.get_by_role("radio", name="Accurate").is_checked()
    reader.page.get_by_role("radio", name="Fast").check()
    reader.page.get_by_text("Saved", exact=True).wait_for()
    assert of_type(app, reader, "settings.changed")[-1]["data"]["settings"]["listening"]["mode"] == "realtime"


def test_both_ways_are_shown_side_by_side_here_and_in_the_history(
    visit: Visit, app: RunningApp, pictures: Path
) -> None:
    reader = visit(0.3, CLUBS, 60.0, choices={"compare": True})
    reader.page.click("#microphone")
    reader.page.locator(".ways .way").nth(1).wait_for()
    assert reader.page.locator(".way h3").all_inner_texts() == [
        "Fast scripted",
        "Accurate scripted quality",
    ]
    reader.page.screenshot(path=pictures / "compare.png")
    reader.page.goto(f"{app.url}/?timeline={reader.session}")
    reader.page.locator(".ways .way").nth(1).wait_for()
    reader.page.get_by_role("rowheader", name="Modes compared: no difference", exact=False).wait_for()


def test_the_dock_of_a_page_that_listens_fits_and_its_controls_have_names(
    visit: Visit, pictures: Path
) -> None:
    reader = visit(0.3, YOUNG_MAN, AMIABLE, 60.0)
    reader.page.click("#microphone")
    reader.wait("document.querySelector('.coming .firm')?.textContent.length > 3")
    for width, scheme in product((1280, 390), ("light", "dark")):
        reader.page.set_viewport_size({"width": width, "height": 820})
        reader.page.emulate_media(color_scheme=scheme, **STILL)
        reader.page.screenshot(path=pictures / f"listening-{width}-{scheme}.png")
        assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        nameless = reader.page.evaluate("""() =>
            [...document.querySelectorAll('#dock :is(button, summary, input, textarea, [role=meter])')]
                .filter((part) => part.checkVisibility())
                .filter((part) => !(part.ariaLabel || part.innerText || part.labels?.length))
                .map((part) => part.outerHTML)""")
        assert nameless == []


def test_a_recording_is_listened_to_and_answered(visit: Visit, app: RunningApp, tmp_path: Path) -> None:
    reader = visit()
    recording = record(tmp_path / "a reading.wav", 0.5, YOUNG_MAN, 1.0, AMIABLE, 0.5)
    with reader.page.expect_file_chooser() as chooser:
        reader.page.get_by_role("button", name="Upload audio").click()
    chooser.value.set_files(recording)
    assert asked(reader).startswith(FIRST)
    reader.hears(200)
    expect(reader.page.locator("#listening-to")).to_be_hidden()
    (opened,) = of_type(app, reader, "input.opened")
    assert (opened["data"]["source"], opened["data"]["name"]) == ("file", "a reading.wav")
    (question,) = of_type(app, reader, "turn.requested")
    assert question["data"]["utterances"] == [0, 1]  # one question, however many pauses there are in it


def test_a_file_that_is_no_recording_is_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    reader = visit()
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ines, the fox is well.")
    with reader.page.expect_file_chooser() as chooser:
        reader.page.get_by_role("button", name="Upload audio").click()
    chooser.value.set_files(letter)
    expect(reader.page.locator("#recording-trouble")).to_contain_text("letter.txt: ")
    expect(reader.page.locator("#listening-to")).to_be_hidden()


@pytest.mark.weights
def test_whisper_understands_a_real_reader(visit: Visit, tmp_path: Path) -> None:
    settings = scripted_settings(
        tmp_path / "whisper",
        llm={"reply": REPLY},
        tts={"ms_per_char": 30},
        speech_to_text={"engine": "whisper"},
        quality_speech_to_text={"engine": "whisper"},
    )
    with running_app(settings) as real:
        reader = visit(1.0, YOUNG_MAN, 60.0, url=real.url)
        reader.page.click("#microphone")
        reader.page.set_default_timeout(90_000)  # a slow machine loads the model first
        assert "young man" in asked(reader).lower()
        reader.hears(200)
        reader.close()  # or the application ends while Whisper writes down a minute of silence
