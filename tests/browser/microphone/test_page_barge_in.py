"""Speaking over an answer: it is held, then stopped, or goes on; and the server is told what was heard."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

import anyio
import pytest
from playwright.sync_api import expect

from pipeline.engines.ports import ChatRequest, Written
from tests.browser import session_log
from tests.browser.browser_microphone import AMIABLE, CLUBS, YOUNG_MAN, Visit, of_type, state_is
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser

LONG = "The lamp was lit as on every evening. The fox slept by the stove all night. " * 6
INTERRUPTION = "what about the fox"
HEARS_WORDS = {"texts": [INTERRUPTION]}
WORDS_IN_SIGHT = """"voice" in document.body.dataset &&
    [...document.querySelectorAll("#speech :is(.firm, .loose):not(:empty)")].some((words) => {
        const { top, bottom } = words.getBoundingClientRect();
        return top > 0 && bottom < document.querySelector("#dock").getBoundingClientRect().top;
    })"""
"""Between the top of the window and the dock, which takes half of it."""


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningApp]:
    """Writes and speaks much faster than anybody listens."""
    given = {"stt": HEARS_WORDS, "llm": {}} | getattr(request, "param", {})
    settings = scripted_settings(
        tmp_path_factory.mktemp("barge_in"),
        llm={"reply": LONG, "delta_chars": 40} | given["llm"],
        tts={"ms_per_char": 60},
        stt=given["stt"],
    )
    with running_app(settings) as running:
        yield running


def all_but(question: str, app: RunningApp) -> Callable[[ChatRequest], AsyncGenerator[Written, None]]:
    """Answers every question but this one, which is left waiting."""
    answer = app.engines["language_model"].stream

    async def stream(request: ChatRequest) -> AsyncGenerator[Written, None]:
        if request.messages[-1].content == question:
            await anyio.sleep_forever()
        async with aclosing(answer(request)) as answered:
            async for item in answered:
                yield item

    return stream


def test_a_user_who_speaks_over_an_answer_is_listened_to_at_once(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0)
    reader.ask("tell me a long story")
    reader.status_is("completed")  # all of it is in the log; most of it has not been heard
    reader.hears(500)
    turn = reader.last_turn
    reader.page.click("#microphone")
    reader.page.get_by_text("Stopped here: you spoke").wait_for()
    reader.wait("s.rms < 0.0005 || s.turn !== arg", turn)
    reader.page.get_by_role("heading", name=INTERRUPTION, level=2).wait_for()
    reader.wait("s.turn > arg && s.rms > 0.005", turn)  # of the first answer, nothing more is heard
    held, flushed = of_type(app, reader, "playback.paused", "playback.flushed")
    assert held["data"] == {"by": "voice"}
    assert (flushed["turn"], flushed["data"]) == (turn, {"reason": "barge_in"})
    told = [
        event["data"]["heard_ms"] for event in of_type(app, reader, "playback.heard") if event["turn"] == turn
    ]
    (first, *_) = session_log.turns(app.url, reader.session)
    assert 400 < told[-1] < first["audio_ms"]
    unheard = reader.page.locator(f'.turn[data-turn="{turn}"] .sentence.unheard')
    expect(unheard.first).to_have_attribute("data-short", "Not heard from here:")


def test_in_voice_mode_the_words_that_are_said_over_an_answer_are_in_sight(
    visit: Visit, app: RunningApp
) -> None:
    reader = visit(0.3, YOUNG_MAN, 60.0)
    reader.ask("tell me a long story")
    reader.status_is("completed")
    reader.hears(500)
    with reader.waits(WORDS_IN_SIGHT):
        reader.page.click("#start-voice")
    reader.page.get_by_role("heading", name=INTERRUPTION, level=2).wait_for()


@pytest.mark.parametrize("app", [{"stt": {"texts": ["mm-hm"]}}], indirect=True)
def test_a_word_of_agreement_lets_the_answer_go_on(visit: Visit, app: RunningApp) -> None:
    reader = visit(0.3, AMIABLE, 60.0, choices={"interrupt_ms": 5_000})
    reader.ask("tell me a long story")
    reader.hears(300)
    turn = reader.last_turn
    reader.page.click("#microphone")
    reader.wait("s.paused && s.rms < 0.0005")
    held = reader.stats["positionMs"]
    state_is(reader, "hearing")
    reader.page.locator("#doing", has_text="Paused while you speak").wait_for()
    reader.hears(held + 200)
    assert reader.stats["turn"] == turn
    assert reader.page.locator(".turn").count() == 1
    assert of_type(app, reader, "playback.flushed") == []
    assert [event["data"]["taken"] for event in of_type(app, reader, "transcript.final")] == ["backchannel"]
    expect(reader.page.locator("#speech")).to_be_hidden()


def test_a_user_who_speaks_on_before_anything_was_heard_has_asked_one_question(
    visit: Visit, app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.engines["language_model"], "stream", all_but(INTERRUPTION, app))
    reader = visit(0.3, CLUBS, 1.0, CLUBS, 60.0)
    reader.page.click("#microphone")
    reader.page.get_by_role("heading", name=f"{INTERRUPTION} {INTERRUPTION}", level=2).wait_for()
    assert reader.page.locator(".turn").count() == 1
    first, second = of_type(app, reader, "turn.requested")
    assert second["data"]["merges"] == first["seq"]
    reader.hears(200)
    assert reader.stats["turn"] == second["seq"]
    other = reader.page.context.new_page()
    other.goto(reader.page.url)
    other.locator(".turn").wait_for()
    assert other.locator(".turn").count() == 1


def test_the_server_learns_what_was_heard_when_somebody_stops_it(visit: Visit, app: RunningApp) -> None:
    reader = visit()
    reader.ask("tell me a long story")
    reader.hears(1_500)
    reader.look_up()
    reader.page.keyboard.press("Space")
    reader.wait("s.paused && s.rms < 0.0005")
    paused_at = reader.stats["positionMs"]
    reader.page.keyboard.press("Escape")
    reader.wait("s.turn === null")
    reader.ask("briefly")
    reader.hears(100)
    told = [event for event in of_type(app, reader, "playback.heard") if event["turn"] != reader.last_turn]
    assert len(told) >= 3
    assert 0 <= paused_at - told[-1]["data"]["heard_ms"] < 200  # but for the loudspeaker's own delay
    assert of_type(app, reader, "input.opened") == []  # nobody has to be listened to for that
