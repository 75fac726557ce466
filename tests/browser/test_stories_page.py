"""Stories with scenes: written, heard while they are written, read out afterwards."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser import session_log
from tests.browser.conftest import SHORT, STORY
from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story, prefer, read_out, scene, story_of, tell, written
from tests.support.running_app import RunningApp
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("default_settings")]
OpenPage = Callable[..., Reader]


def test_a_story_is_begun_and_its_scene_heard_while_it_is_written(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page()
    reader.goes_to("Stories")
    reader.page.get_by_label("Title").fill("The lighthouse and the fox")
    reader.page.get_by_label("What it is about").fill("A keeper and a fox")
    reader.page.get_by_role("button", name="Create story").click()
    story = story_of(reader)
    expect(reader.page.get_by_role("heading", name="The lighthouse and the fox")).to_be_visible()
    hint = reader.page.get_by_text("Say below how the story begins")
    expect(hint).to_be_visible()
    tell(reader, "a story at length", aloud=True)
    reader.hears(300)
    expect(hint).to_be_hidden()
    reader.status_is("running")
    assert (STORY * 8).startswith(reader.answer[: len(STORY)])
    reader.page.locator("#scene-1 .sentence.speaking").wait_for()
    expect(reader.page.get_by_role("slider", name="Position")).to_have_count(1)
    expect(reader.page.get_by_role("button", name="Pause")).to_have_count(1)
    reader.page.get_by_role("button", name="Pause").click()
    reader.wait("s.paused && s.rms < 0.0005")
    reader.page.get_by_role("button", name="Go on").click()
    reader.hears()
    reader.page.get_by_role("button", name="Stop", exact=True).click()
    reader.status_is("stopped")
    reader.page.goto(app.url + "/?stories")
    entry = reader.page.locator(".shelf").get_by_role("link", name="The lighthouse and the fox")
    expect(entry.first).to_contain_text("1 scene")
    assert story in (entry.first.get_attribute("href") or "")
    entry.first.click()
    expect(reader.page.get_by_role("heading", name="The lighthouse and the fox", level=1)).to_be_visible()
    reader.choose("Delete")
    reader.page.get_by_role("button", name="Delete The lighthouse and the fox for good?").click()
    reader.sees(lambda: httpx.get(f"{app.url}/api/stories/{story}").status_code in {404, 410})


def test_a_written_scene_is_read_out_when_one_wants_it(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url))
    tell(reader, "briefly", aloud=False)
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.hears(200)
    narration = reader.stats["session"]
    assert narration != story_of(reader)
    reader.page.locator("#scene-1 .word.said").wait_for()
    reader.wait("s.turn === null")
    assert reader.stats["samplesPlayed"] == session_log.turns(app.url, narration)[0]["audio_ms"] * 48
    assert reader.answer == SHORT
    scene(reader, 1).get_by_role("button", name="Play", exact=True).click()
    reader.wait("s.session === arg && s.rms > 0.005", narration)
    scene(reader, 1).get_by_role("button", name="Regenerate audio").click()
    reader.wait("s.session !== null && s.session !== arg", narration)
    reader.hears()


def test_while_it_is_read_one_sees_how_far_it_is(
    open_page: OpenPage, app: RunningApp, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    prefer(app.url, tts_provider="cloud", tts_timeout=60)
    reader = open_page(new_story(app.url, "In the making", "briefly"))
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    expect(scene(reader, 1).get_by_text("0 of 2 sentences read")).to_be_visible()
    scene(reader, 1).get_by_role("button", name="Cancel").click()
    expect(scene(reader, 1).get_by_role("button", name="Read aloud")).to_be_visible()


def test_a_plain_scene_plays_by_itself_where_the_settings_say_so(
    open_page: OpenPage, app: RunningApp
) -> None:
    prefer(app.url, auto_play_last_scene=True)
    reader = open_page(new_story(app.url, "By itself"))
    tell(reader, "briefly", aloud=False)
    reader.hears(200)
    assert reader.stats["session"] != story_of(reader)
    reader.page.locator("#scene-1 .sentence.speaking").wait_for()


def test_of_two_tabs_only_one_begins_to_speak(open_page: OpenPage, app: RunningApp) -> None:
    prefer(app.url, auto_play_last_scene=True)
    address = app.url + new_story(app.url, "Two tabs")
    first = open_page(address)
    second = Reader.at(first.page.context, address)
    second.page.click("#heading")  # it may sound as well
    tell(first, "briefly", aloud=False)
    for reader in (first, second):
        written(reader, 1)
        expect(scene(reader, 1).get_by_role("button", name="Regenerate audio")).to_be_visible()
    first.sees(lambda: _has_played(first) or _has_played(second))
    playing, waiting = (first, second) if _has_played(first) else (second, first)
    playing.wait("s.turn === null && s.samplesPlayed > 0")  # meanwhile the other could have begun as well
    expect(scene(waiting, 1).locator(".badge")).to_be_visible()
    assert not _has_played(waiting)
    assert second.mistakes == []


def test_a_tab_that_may_not_sound_yet_lets_another_begin(open_page: OpenPage, app: RunningApp) -> None:
    prefer(app.url, auto_play_last_scene=True)
    address = app.url + new_story(app.url, "A tab nobody touched")
    untouched = open_page(address)
    touched = Reader.at(untouched.page.context, address)
    tell(touched, "briefly", aloud=False)
    touched.hears(200)
    expect(scene(untouched, 1).locator(".badge")).to_be_visible()
    assert untouched.stats["turn"] is None


def _has_played(reader: Reader) -> bool:
    return reader.stats["turn"] is not None or reader.stats["samplesPlayed"] > 0


def test_a_narration_that_fails_says_why_and_is_tried_again(
    open_page: OpenPage, app: RunningApp, remote: FakeSpeechServer
) -> None:
    prefer(app.url, tts_provider="cloud", auto_play_last_scene=True)
    remote.refusals = [(500, {})] * 20
    reader = open_page(new_story(app.url, "Out of order"))
    tell(reader, "briefly", aloud=False)
    written(reader, 1)
    alert = scene(reader, 1).get_by_role("alert").filter(has_text="It could not be read out")
    expect(alert).to_be_visible(timeout=25_000)
    remote.forget()
    alert.get_by_role("button", name="Retry").click()
    reader.hears(200)
    expect(alert).not_to_be_visible()
    assert reader.answer == SHORT


def test_a_reload_keeps_the_place_in_a_scene(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(f"{new_story(app.url, 'Once more', 'a story')}#1")  # no fragment of ours
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.reloads_in_mid_answer()
    reader.hears(2_000)


def test_scenes_are_chapters_of_one_recording(open_page: OpenPage, app: RunningApp) -> None:
    address = new_story(app.url, "In chapters", "briefly", "briefly, too", "a story")
    first, second, third = read_out(app.url, address)
    reader = open_page(address)
    chapters = reader.page.get_by_role("group", name="Scenes")
    expect(chapters).to_contain_text("3 scenes")
    scene(reader, 1).get_by_role("button", name="Play", exact=True).click()
    reader.wait("s.session === arg && s.rms > 0.005", first)
    expect(chapters).to_contain_text("Scene 1 of 3: briefly")
    lengths = [session_log.turns(app.url, one)[0]["audio_ms"] for one in (first, second, third)]
    expect(reader.page.locator("#seek")).to_have_attribute("max", str(sum(lengths)))
    marks = reader.page.locator("#marks option").evaluate_all("(all) => all.map((one) => Number(one.value))")
    assert marks == [lengths[0], lengths[0] + lengths[1]]
    reader.wait("s.session === arg && s.rms > 0.005", second)  # the first one is over
    expect(chapters).to_contain_text("Scene 2 of 3: briefly, too")
    scene(reader, 2).locator(".word.said").first.wait_for()
    chapters.get_by_role("button", name="Next scene").click()
    reader.wait("s.session === arg && s.rms > 0.005", third)
    expect(chapters.get_by_role("button", name="Next scene")).to_be_disabled()
    reader.page.keyboard.press("Shift+ArrowLeft")
    reader.wait("s.session === arg && s.rms > 0.005", second)
    reader.page.locator("#seek").evaluate(
        "(bar, ms) => { bar.value = ms; bar.dispatchEvent(new Event('change')); }",
        lengths[0] + lengths[1] + 3_000,
    )
    reader.wait("s.session === arg && s.positionMs >= 3000 && s.rms > 0.005", third)
    chapters.locator("summary").click()
    items = chapters.get_by_role("listitem")
    expect(items.nth(2).get_by_role("button")).to_have_attribute("aria-current", "true")
    items.nth(2).get_by_role("button").focus()
    reader.page.keyboard.press("Tab")
    expect(items.nth(0)).to_be_hidden()
    chapters.locator("summary").click()
    items.nth(0).get_by_role("button", name="Scene 1: briefly").click()
    reader.wait("s.session === arg && s.rms > 0.005", first)
    expect(items.nth(0)).to_be_hidden()
    assert reader.mistakes == []


def test_a_scene_is_written_again_and_edited_in_its_place(open_page: OpenPage, app: RunningApp) -> None:
    address = new_story(app.url, "Second thoughts", "briefly", "briefly, too")
    reader = open_page(address)
    first = written(reader, 1)
    first.get_by_role("button", name="Write again").click()
    expect(first.get_by_label("What happens in the scene")).to_have_value("briefly")
    first.get_by_label("What happens in the scene").fill("a story")
    first.get_by_label("What happens in the scene").press("Enter")
    expect(scene(reader, 1).locator(".prose")).to_contain_text("At the edge of the northern sea")
    written(reader, 1).get_by_role("button", name="Edit text").click()
    scene(reader, 1).get_by_label("Text of the scene").fill("There was no fox.\n\nThere was no lamp.")
    refusal = {
        "status": 422,
        "code": "input.too_long",
        "title": "Too long",
        "detail": "There is no room for it.",
    }
    reader.page.route("**/scenes", lambda route: route.fulfill(status=422, json=refusal))
    scene(reader, 1).get_by_role("button", name="Save").click()
    expect(reader.page.locator("#notice")).to_have_text("There is no room for it.")
    box = scene(reader, 1).get_by_label("Text of the scene")
    expect(box).to_have_value("There was no fox.\n\nThere was no lamp.")  # what was typed is still there
    reader.page.unroute("**/scenes")
    scene(reader, 1).get_by_role("button", name="Save").click()
    edited = re.compile(r"There was no fox\.\s+There was no lamp\.")
    expect(scene(reader, 1).locator(".prose")).to_have_text(edited)
    reader.page.reload()
    expect(written(reader, 1).locator(".prose")).to_have_text(edited)
    expect(written(reader, 2).locator(".prose")).to_have_text(SHORT)
    expect(reader.page.locator(".scene")).to_have_count(2)


def test_a_paragraph_is_spoken_by_another_voice(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url, "Two voices", "a story"))
    written(reader, 1).get_by_role("button", name="Voices").click()
    scene(reader, 1).get_by_label("Speaker: One night in November").select_option("alto")
    boxes = scene(reader, 1).get_by_role("checkbox")
    expect(boxes).to_have_count(2)
    boxes.first.check()  # nothing of it was heard yet, so all are ticked
    scene(reader, 1).locator("form").get_by_role("button", name="Read again").click()
    reader.hears(200)
    narration = reader.stats["session"]
    reader.sees(lambda: session_log.turns(app.url, narration)[0]["status"] == "completed")
    voiced = [
        e["data"]["voice"] for e in session_log.events(app.url, narration) if e["type"] == "sentence.voiced"
    ]
    assert voiced == ["joe"] * voiced.count("joe") + ["alto"] * voiced.count("alto")
    assert set(voiced) == {"joe", "alto"}
    scene(reader, 1).get_by_role("button", name="Voices").click()
    expect(scene(reader, 1).get_by_label("Speaker: One night in November")).to_have_value("alto")


def test_one_paragraph_is_read_again_and_heard_from_there(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(new_story(app.url, "Read again", "a story"))
    written(reader, 1).get_by_role("button", name="Read aloud").click()
    reader.hears(200)
    before = reader.stats["session"]
    expect(scene(reader, 1).get_by_role("button", name="Regenerate audio")).to_be_visible()  # all is read
    scene(reader, 1).get_by_role("button", name="Voices").click()
    boxes = scene(reader, 1).get_by_role("checkbox")
    expect(boxes.first).not_to_be_checked()
    scene(reader, 1).get_by_label("Speaker: One night in November").select_option("alto")
    expect(boxes.last).to_be_checked()
    scene(reader, 1).locator("form").get_by_role("button", name="Read again").click()
    reader.wait("s.session !== null && s.session !== arg", before)
    reader.hears()
    after = reader.stats["session"]
    reader.sees(lambda: session_log.turns(app.url, after)[0]["status"] == "completed")
    old, new = (session_log.sentences(app.url, session, 2) for session in (before, after))
    made = [e["data"] for e in session_log.events(app.url, after) if e["type"] == "sentence.completed"]
    kept = [one["made_ms"] is None for one in made]
    assert kept == sorted(kept, reverse=True), "the first paragraph, and nothing of the second"
    assert kept[0]
    assert not kept[-1]
    assert [one.ms for one in new[: sum(kept)]] == [one.ms for one in old[: sum(kept)]]
    assert reader.stats["positionMs"] >= new[sum(kept)].at_ms


def test_the_voices_are_told_to_load_and_a_failure_can_be_tried_again(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(new_story(app.url, "Slow voices", "a story"))
    held: list[Route] = []
    reader.page.route("**/api/tts/voices", lambda route: held.append(route))
    written(reader, 1).get_by_role("button", name="Voices").click()
    form = scene(reader, 1).locator("form")
    expect(form.get_by_role("status")).to_have_text("Loading the voices…")
    reader.sees(lambda: len(held) == 1)
    held[0].fulfill(status=500, json={"code": "internal", "detail": "It broke."})
    expect(form.get_by_role("alert")).to_be_visible()
    reader.page.unroute("**/api/tts/voices")
    form.get_by_role("button", name="Retry").click()
    expect(form.get_by_role("combobox").first).to_be_visible()
    expect(form.get_by_role("alert")).to_have_count(0)


def test_a_story_that_is_not_there_says_so(open_page: OpenPage) -> None:
    reader = open_page("/?story=0190a000-0000-7000-8000-000000000000")
    expect(reader.page.get_by_role("alert").filter(has_text="There is no such session")).to_be_visible()
