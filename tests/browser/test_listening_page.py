"""Reading and hearing an answer while it is being made."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from loadtests.bench.retrieval.question_library import pdf
from tests.browser import session_log
from tests.browser.conftest import MARKUP, SHORT, STORY
from tests.browser.page_reader import Reader
from tests.browser.test_page_controls import asked_with
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

RATES = {"opus": 48, "pcm16": 24}
"""Samples of a millisecond."""


def test_the_box_is_empty_and_focused_and_takes_what_is_typed(open_page: OpenPage) -> None:
    reader = open_page()
    reader.wait("document.activeElement.id === 'text'")
    assert reader.page.locator("#send").is_disabled()
    reader.page.keyboard.type("briefly, a story")
    reader.page.click("#send")
    reader.hears()
    assert reader.page.inner_text(".turn .prompt") == "briefly, a story"
    assert reader.page.input_value("#text") == ""


def test_a_suggestion_is_asked_and_leaves_the_box_as_it_is(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.fill("#text", "half a thought")
    reader.page.get_by_role("button", name="Explain the tides to a curious child").click()
    reader.page.locator(".turn").wait_for()
    assert reader.page.inner_text(".turn .prompt") == "Explain the tides to a curious child"
    assert reader.page.input_value("#text") == "half a thought"


def test_a_question_typed_before_the_scripts_have_loaded_is_kept(open_page: OpenPage) -> None:
    reader = open_page("/web/icon.svg")
    held: list[Route] = []
    reader.page.route(
        "**/app.js", lambda route: held.append(route)
    )  # Playwright sets attributes of the handler
    reader.page.goto(reader.page.url.replace("/web/icon.svg", "/"), wait_until="commit")
    reader.page.fill("#text", "briefly, a story")
    reader.page.press("#text", "Enter")
    reader.page.click("#send", force=True)
    reader.sees(lambda: bool(held))
    held[0].continue_()
    reader.page.locator("#suggestions button").first.wait_for()
    assert reader.page.input_value("#text").strip() == "briefly, a story"
    reader.page.click("#send")
    reader.hears()


def test_a_draft_outlives_a_reload(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.fill("#text", "half a thought")
    reader.page.reload()
    reader.wait("document.querySelector('#text').value === 'half a thought'")
    assert reader.page.locator("#send").is_enabled()


def test_a_question_typed_while_another_is_under_way_is_sent_after_it(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(voice=False)
    held: list[Route] = []
    reader.page.route("**/v1/threads", lambda route: held.append(route))
    for prompt in ("briefly, the first", "briefly, the second"):
        reader.ask(prompt)
        assert reader.page.input_value("#text") == "", "the box is free for what is typed next"
    reader.page.fill("#text", "half a thought")
    reader.sees(lambda: bool(held))
    held[0].continue_()
    reader.page.locator(".turn").nth(1).wait_for()
    assert reader.page.locator(".turn .prompt").all_inner_texts() == [
        "briefly, the first",
        "briefly, the second",
    ]
    assert reader.page.input_value("#text") == "half a thought"
    assert len(session_log.turns(app.url, reader.session)) == 2


def test_questions_that_were_not_taken_are_in_the_box_again(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    held: list[Route] = []
    reader.page.route("**/v1/threads", lambda route: held.append(route))
    reader.ask("briefly, the first")
    reader.ask("briefly, the second")
    reader.page.fill("#text", "half a thought")
    reader.sees(lambda: bool(held))
    held[0].fulfill(status=502, body="Bad gateway")
    expect(reader.page.locator("#problem")).to_contain_text("The server has trouble")
    assert reader.page.input_value("#text").splitlines() == [
        "briefly, the first",
        "briefly, the second",
        "half a thought",
    ]


def test_words_appear_while_the_answer_is_still_being_written(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("a story")
    shown = reader.page.wait_for_function(  # looked at in the page, so that a busy machine sees it too
        """() => { const text = document.querySelector('.prose')?.textContent ?? "";
                   return text.length > 20 && text }"""
    ).json_value()
    assert STORY.startswith(shown)
    assert len(shown) < len(STORY)
    reader.status_is("completed")
    assert reader.answer == STORY


@pytest.mark.parametrize("codec", ["opus", "pcm16"])
def test_every_sample_is_played_once_without_a_gap(open_page: OpenPage, app: RunningApp, codec: str) -> None:
    """All of the sound is there when it is played: while it is made, a busy machine makes it late."""
    session = asked_with(app.url, {}, prompt="briefly")
    reader = open_page("/web/icon.svg", voice=False)  # nothing is heard but what is asked for
    if codec == "pcm16":
        reader.page.add_init_script("delete globalThis.AudioDecoder")
    reader.page.goto(f"{app.url}/?session={session}")
    reader.status_is("completed")
    reader.page.click(".replay")
    reader.hears(300)
    earlier = reader.stats["positionMs"]
    reader.hears(earlier + 200)
    reader.wait("s.turn === null")
    stats = reader.stats
    assert stats["codec"] == codec
    assert stats["underruns"] == 0
    assert reader.answer == SHORT
    assert stats["samplesPlayed"] == session_log.turns(app.url, session)[0]["audio_ms"] * RATES[codec]


def test_the_light_is_on_the_sentence_and_the_word_that_are_heard(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page()
    reader.ask("briefly")
    look = """() => ({
        ms: rhapsode.stats().positionMs,
        sentence: document.querySelector('.sentence.speaking')?.textContent,
        words: [...document.querySelectorAll('.word.said')].map((word) => word.textContent),
    })"""
    seen = reader.page.wait_for_function(
        f"() => {{ const now = ({look})(); return now.words.length && now; }}"
    )
    early = seen.json_value()
    reader.status_is("completed")
    first, second = session_log.sentences(app.url, reader.session, reader.last_turn)
    assert early["sentence"] == first.text
    assert early["words"][0] in first.text  # on a slow machine it is a later one, with its full stop
    reader.wait("s.positionMs > arg", second.at_ms + 400)
    late = reader.page.evaluate(look)
    assert late["sentence"] == second.text
    assert len(late["words"]) == 1
    reader.wait("s.turn === null")
    assert reader.page.locator(".sentence.speaking").count() == 0


def test_a_text_is_read_out_word_for_word(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.get_by_text("Text to speech").click()
    reader.page.fill("#text", "First line")
    reader.page.press("#text", "Shift+Enter")
    reader.page.keyboard.type("and the second one.")
    assert reader.page.input_value("#text") == "First line\nand the second one."
    reader.page.press("#text", "Enter")
    reader.hears()
    assert reader.answer == "First line\nand the second one."
    heading = reader.page.get_by_role("heading", name="Text to speech: First line and the second one.")
    expect(heading).to_be_visible()


def test_the_text_of_a_file_comes_behind_what_was_typed(open_page: OpenPage) -> None:
    reader = open_page()
    expect(reader.page.get_by_role("button", name="Open file")).to_be_hidden()
    reader.page.get_by_text("Text to speech").click()
    reader.page.fill("#text", "Read this:")
    broken = {"name": "photo.md", "mimeType": "", "buffer": b"\xff\xd8\xff\x00"}
    large = {"name": "long.txt", "mimeType": "", "buffer": b"x" * 1_600_001}
    letter = {"name": "letter.txt", "mimeType": "", "buffer": "“Dear Ines”\n".encode()}
    for file, said in ((broken, "photo.md is no text file"), (large, "long.txt is too large"), (letter, "")):
        with reader.page.expect_file_chooser() as chooser:
            reader.page.get_by_role("button", name="Open file").click()
        chooser.value.set_files(file)  # type: ignore[arg-type]
        expect(reader.page.locator("#problem")).to_contain_text(said)
    expect(reader.page.locator("#text")).to_have_value("Read this:\n\n“Dear Ines”\n")
    expect(reader.page.locator("#problem")).to_be_hidden()
    expect(reader.page.locator("#text")).to_be_focused()


def test_a_document_is_read_by_the_server_and_what_cannot_be_read_is_said(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.get_by_text("Text to speech").click()
    book = {"name": "book.epub", "mimeType": "application/epub+zip", "buffer": b"PK\x03\x04 and more"}
    letter = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": pdf(["Dear Ines."], title="Letter")}
    for file in (book, letter):
        with reader.page.expect_file_chooser() as chooser:
            reader.page.get_by_role("button", name="Open file").click()
        chooser.value.set_files(file)  # type: ignore[arg-type]
        if file is book:
            expect(reader.page.locator("#problem")).to_contain_text("book.epub: This is a packed file")
    expect(reader.page.locator("#text")).to_have_value("Dear Ines.")
    expect(reader.page.locator("#problem")).to_be_hidden()
    expect(reader.page.locator("#sending")).to_be_hidden()


def test_markup_in_an_answer_is_text(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("markup <script>document.title='owned'</script>")
    reader.status_is("completed")
    assert reader.answer == MARKUP
    assert reader.page.locator("#story img, #story b, #story script").count() == 0
    assert reader.page.title() != "owned"


def test_without_the_voice_there_are_only_words(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page()
    reader.page.click("#sound summary")
    reader.page.click("#voice")
    reader.ask("briefly")
    reader.status_is("completed")
    assert reader.answer == SHORT
    assert reader.stats["turn"] is None
    assert session_log.turns(app.url, reader.session)[0]["audio_ms"] == 0


def test_an_answer_that_is_not_read_out_is_told_to_a_screen_reader(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.click("#sound summary")
    reader.page.click("#voice")
    reader.ask("briefly")
    expect(reader.page.locator("#announcer")).to_have_text(SHORT)
