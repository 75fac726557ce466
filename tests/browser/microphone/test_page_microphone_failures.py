"""A microphone that fails, a wish that is refused, a file that is taken back: nothing stays on."""

import json

import pytest
from playwright.sync_api import Route, expect

from tests.browser.browser_microphone import CLUBS, WATCHED, YOUNG_MAN, Visit, asked, record, state_is
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser

NO_CONTEXT = """() => {
    const Given = AudioContext;
    globalThis.AudioContext = class extends Given {
        constructor(options) {
            if (!options.sampleRate) throw new DOMException("too many", "NotSupportedError");
            super(options);
        }
    };
}"""
NO_NODE = """() => {
    const Given = AudioWorkletNode;
    globalThis.AudioWorkletNode = class extends Given {
        constructor(context, name, options) {
            if (name === "rhapsode-capture") throw new DOMException("no", "InvalidStateError");
            super(context, name, options);
        }
    };
}"""
REFUSED_LATER = """() => {
    const { mediaDevices } = navigator;
    const given = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = () => new Promise((_, reject) => {
        mediaDevices.getUserMedia = given;
        globalThis.refuse = () => reject(new DOMException("no", "NotAllowedError"));
    });
}"""
NO = "That cannot be had here."


def is_off(reader: Reader) -> None:
    expect(reader.page.locator("#voice-bar")).to_be_hidden()
    assert reader.page.evaluate("tracks.map(({ readyState }) => readyState)") == ["ended"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [(NO_CONTEXT, "NotSupportedError"), (NO_NODE, "InvalidStateError")],
    ids=["context", "node"],
)
def test_a_microphone_that_cannot_be_listened_to_is_let_go_of(visit: Visit, broken: str, words: str) -> None:
    reader = visit(0.2, CLUBS, 60.0)
    reader.page.evaluate(WATCHED)
    reader.page.evaluate(broken)
    reader.page.click("#microphone")
    expect(reader.page.locator("#voice-trouble")).to_contain_text(words)
    is_off(reader)


def test_a_session_that_cannot_be_made_leaves_no_microphone_on(visit: Visit) -> None:
    reader = visit(0.2, CLUBS, 60.0)
    reader.page.evaluate(WATCHED)
    reader.page.route(
        "**/v1/threads", lambda route: route.fulfill(body="<html>Sign in to this network</html>")
    )
    reader.page.click("#microphone")
    expect(reader.page.locator("#voice-trouble")).to_contain_text("could not be opened")
    is_off(reader)
    (mistake,) = reader.mistakes  # it stays loud, for whoever looks after the server
    assert "not valid JSON" in mistake
    reader.mistakes.clear()
    reader.page.unroute("**/v1/threads")
    reader.page.click("#microphone")
    state_is(reader, "listening", "hearing")


def test_the_refusal_of_an_earlier_wish_to_speak_does_not_end_the_next(visit: Visit) -> None:
    reader = visit(0.3, CLUBS, 60.0)
    reader.page.evaluate(REFUSED_LATER)
    reader.page.click("#microphone")
    state_is(reader, "opening")
    reader.page.click("#hang-up")
    expect(reader.page.locator("#voice-bar")).to_be_hidden()
    reader.page.click("#microphone")
    state_is(reader, "listening", "hearing")
    reader.page.evaluate("refuse()")
    asked(reader)
    assert not reader.page.is_visible("#voice-trouble")
    state_is(reader, "listening", "understanding", "thinking", "speaking")


def refuse_changes(route: Route) -> None:
    if route.request.method == "PATCH":
        route.fulfill(status=422, json={"code": "settings.invalid", "detail": "that cannot be had here"})
    else:
        route.continue_()


def test_a_way_of_listening_that_is_refused_is_not_shown_as_if_it_were_so(visit: Visit) -> None:
    reader = visit(0.2, CLUBS, 60.0)
    reader.page.click("#microphone")
    state_is(reader, "listening", "hearing")
    reader.page.route("**/v1/sessions/*", refuse_changes)
    reader.page.click("#voice-options")
    sheet = reader.page.get_by_role("dialog", name="Settings")
    for wish in ("Save my audio", "Allow interruptions"):
        before = sheet.get_by_label(wish).is_checked()
        sheet.get_by_label(wish).click()
        expect(sheet.locator(".setting", has_text=wish).get_by_role("alert")).to_have_text(NO)
        expect(sheet.get_by_label(wish)).to_be_checked(checked=before)
    sheet.get_by_role("radio", name="Accurate").click()
    expect(sheet.get_by_role("radio", name="Fast")).to_be_checked()
    assert reader.page.get_by_text("Saved", exact=True).count() == 0
    kept = json.loads(reader.page.evaluate("localStorage.getItem('rhapsode:listening') ?? '{}'"))
    assert kept == {"record": False}  # the next session would be refused for it


def test_a_recording_that_is_taken_back_before_it_leaves_is_not_sent(
    visit: Visit, app: RunningApp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    reader = visit()
    sent: list[str] = []
    held: list[Route] = []
    reader.page.on("request", lambda request: sent.append(request.url))
    reader.page.route("**/v1/threads", lambda route: held.append(route))
    recording = record(tmp_path_factory.mktemp("taken_back") / "a reading.wav", YOUNG_MAN)
    with reader.page.expect_request("**/v1/threads"):
        reader.page.set_input_files("#recording-file", recording)
    reader.page.click("#recording-cancel")
    held[0].continue_()
    expect(reader.page.locator("#listening-to")).to_be_hidden()
    assert reader.session
    assert [url for url in sent if "/recordings" in url] == []
    assert not reader.page.is_visible("#recording-trouble")
