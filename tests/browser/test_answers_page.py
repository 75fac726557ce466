"""Answers as they are read: Markdown, its code and tables, and what can be done with an answer."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser import session_log
from tests.browser.conftest import MARKDOWN, SHORT
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]
FOREIGN = (
    "The weather is beautiful today. 今天天气很好。 The children are playing. "
    "Дети играют в саду. 孩子们在花园里玩。"
)
english = app_fixture(llm={"reply": FOREIGN}, tts={"languages": ["en"]})

_WORDS_SEEN = """() => {
  const seen = (globalThis.seen = { words: [], shapes: new Set() });
  const look = () => {
    const word = [...document.querySelectorAll('.word.said')].map((one) => one.textContent).join('');
    if (word && seen.words.at(-1) !== word) seen.words.push(word);
    for (const one of document.querySelectorAll('.speaking')) {
      const shape = one.parentElement.localName;
      seen.shapes.add(shape);
    }
    requestAnimationFrame(look);
  };
  look();
}"""

_COLOURS = """() => {
  const painted = {}, colours = [];
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/\\d+/g).map((part) => part / 255).map(
      (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = luminance(getComputedStyle(document.querySelector('.code')).backgroundColor);
  for (const [name, ranges] of CSS.highlights) {
    const texts = [...ranges].map((one) => one.startContainer.data.slice(one.startOffset, one.endOffset));
    if (texts.length) painted[name] = texts;
  }
  for (const name of ['comment', 'keyword', 'name', 'number', 'string']) {
    const { color } = getComputedStyle(document.querySelector('.code'), `::highlight(code-${name})`);
    const text = luminance(color);
    colours.push((Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05));
  }
  return [painted, colours, ground];
}"""


def test_markdown_is_rendered_while_it_streams_and_words_are_lit_in_it(open_page: OpenPage) -> None:
    reader = open_page()
    reader.page.evaluate(_WORDS_SEEN)
    with reader.waits("s.turn !== null && document.querySelectorAll('.prose h3').length === 1"):
        reader.ask("in markdown")
    prose = reader.page.locator(".prose")
    expect(prose.locator("h3")).to_have_text("Brewing coffee")
    reader.status_is("completed")
    expect(prose.locator("ol > li")).to_have_count(2)
    expect(prose.locator("ol ul > li")).to_have_text(["dark ones,", "or light ones."])
    expect(prose.locator("td")).to_have_text(["Dark", "18", "Light", "20"])
    expect(prose.locator("p strong")).to_have_text(["three", "very long"])
    expect(prose.locator(".code code")).to_have_text(
        "def brew(cup):\n    return cup * 2  # <b>strong</b>\n", use_inner_text=False
    )
    assert "**" not in reader.answer
    reader.wait("s.turn === null && s.samplesPlayed > 0")
    words = reader.page.evaluate("seen.words")
    for said in ("Brewing", "three", "Light"):
        assert any(said in word for word in words), words
    assert not any("**" in word for word in words)
    assert {"h3", "strong", "li", "td"} <= set(reader.page.evaluate("[...seen.shapes]"))


def test_links_are_safe_and_code_is_copied(open_page: OpenPage) -> None:
    reader = open_page(permissions=["clipboard-read", "clipboard-write"], voice=False)
    reader.ask("in markdown")
    reader.status_is("completed")
    links = reader.page.locator(".prose a")
    expect(links).to_have_count(1)
    assert links.get_attribute("href") == "https://example.org/coffee"
    assert links.get_attribute("rel") == "noopener noreferrer nofollow"
    assert "[they say](javascript:alert(1))" in reader.answer
    assert reader.page.locator(".prose b, .prose script, .prose img").count() == 0
    reader.page.locator(".copy-code").click()
    expect(reader.page.locator(".copy-code")).to_have_text("Copied")
    code = MARKDOWN.partition("```python\n")[2].partition("```")[0]
    assert reader.page.evaluate("navigator.clipboard.readText()") == code


def ask_elsewhere(app: RunningApp, reader: Reader, prompt: str) -> None:
    """A question in the session on show; its answer is spoken, and not heard before `reader` plays it."""
    asked = f"{app.url}/v1/sessions/{reader.session}/turns"
    httpx.post(asked, json={"prompt": prompt}, timeout=30).raise_for_status()


def test_code_has_colours_that_can_be_read_and_its_text_stays_as_it_is(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(color_scheme="light", voice=False)
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.ask("briefly")
    reader.status_is("completed")
    assert not any("/vendor/" in url for url in asked)
    ask_elsewhere(app, reader, "in markdown")
    expect(reader.page.locator(".turn")).to_have_count(2)
    reader.status_is("completed")
    reader.wait("CSS.highlights.get('code-keyword')?.size === 2")
    assert sum("/vendor/highlight" in url for url in asked) == 1
    grounds = set()
    for scheme in ("light", "dark"):
        reader.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        painted, contrasts, ground = reader.page.evaluate(_COLOURS)
        assert painted == {
            "code-comment": ["# <b>strong</b>"],
            "code-keyword": ["def", "return"],
            "code-name": ["brew"],
            "code-number": ["2"],
        }
        assert min(contrasts) >= 4.5, scheme
        grounds.add(ground)
    assert len(grounds) == 2, "both schemes were seen"
    assert reader.page.locator(".code code span").evaluate_all(
        "(spans) => spans.every((span) => /sentence|tail|last/.test(span.className))"
    )
    reader.page.locator(".turn").last.get_by_role("button", name="Play").click()
    reader.hears()
    reader.wait("document.querySelector('.code .speaking') !== null")
    reader.wait("CSS.highlights.get('code-keyword').size === 0")


def test_formulas_are_typeset_and_prices_are_not(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(viewport={"width": 390, "height": 800}, voice=False)
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.ask("briefly")
    reader.status_is("completed")
    assert not any("/vendor/" in url for url in asked)
    ask_elsewhere(app, reader, "in formulas")
    expect(reader.page.locator(".turn")).to_have_count(2)
    reader.status_is("completed")
    prose = reader.page.locator(".prose").last
    expect(prose.locator("math")).to_have_count(4)
    assert sum("/vendor/temml.min.js" in url for url in asked) == 1
    expect(prose.locator("math mfrac")).to_have_text("bc")
    expect(prose.locator("li math msub")).to_have_text("x1")
    expect(prose.locator("p").first).to_contain_text("for $5 and $10.")
    expect(prose.locator("li")).to_contain_text("but not $\\nonsense{x}$ nor $x^$.")
    expect(reader.page.locator("#follow")).to_have_count(1)
    formula = prose.locator(".formula").first.evaluate_handle("(formula) => formula.parentElement")
    reader.page.locator(".turn").last.get_by_role("button", name="Play").click()
    reader.wait("document.querySelector('.formula.speaking math') !== null")
    assert formula.evaluate("(paragraph) => paragraph.isConnected"), "nothing is drawn twice"
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_formula_paints_over_nothing_but_its_answer(open_page: OpenPage, pictures: Path) -> None:
    reader = open_page(voice=False)
    reader.ask("a tall rule")
    reader.status_is("completed")
    expect(reader.page.locator(".formula math")).to_have_count(2)
    over = """() => {
      const prompt = document.querySelector(".turn .prompt").getBoundingClientRect();
      const rule = document.querySelector(".formula mspace").getBoundingClientRect();
      const above = document.elementFromPoint(rule.left + 4, prompt.top + prompt.height / 2);
      return { reaches: rule.top < prompt.top, isCovered: above.closest(".formula") !== null };
    }"""
    assert reader.page.evaluate(over) == {"reaches": True, "isCovered": False}
    reader.page.screenshot(path=pictures / "tall-formula.png")


_DATED = """async () => {
  const { AnswerText } = await import("/web/answer-text.js");
  const source = "On 12/05/2024 it rained.";
  const ranges = [[0, 2], [3, 13], [13, 13], [14, 16], [17, 24]];
  const words = ranges.map(([start, end], number) => ({ start, end, start_ms: number, end_ms: number + 1 }));
  const spoken = { atMs: 0, ms: 5, firstChunk: 1, done: true, error: null };
  const sentences = [{ ...spoken, start: 0, end: source.length, words }];
  const turn = { text: source, wide: [], textWhole: true, passages: [], flushedAt: null, sentences };
  const text = new AnswerText();
  text.update(turn);
  return words.map((_, word) => {
    text.light(0, word);
    return [...text.element.querySelectorAll(".said")].map((one) => one.textContent).join("|");
  });
}"""


def test_a_word_without_letters_lights_no_empty_sliver(open_page: OpenPage) -> None:
    said = open_page().page.evaluate(_DATED)
    assert said == ["On", "12/05/2024", "", "it", "rained."]


def test_a_growing_answer_keeps_what_is_selected(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("at length")
    reader.wait("document.querySelector('.prose p')?.textContent.length > 60")
    kept = reader.page.evaluate(
        """() => {
          const text = document.querySelector('.prose p .tail').firstChild;
          getSelection().setBaseAndExtent(text, 3, text, 12);
          return getSelection().toString();
        }"""
    )
    length = len(reader.answer)
    reader.wait("document.querySelector('.prose').textContent.length > arg", length + 200)
    assert reader.page.evaluate("getSelection().toString()") == kept
    assert len(kept) == 9


def test_versions_of_a_question_stand_in_one_place(open_page: OpenPage, app: RunningApp) -> None:
    reader = open_page(viewport={"width": 390, "height": 800})
    for number, asked in enumerate(("briefly", "briefly, first", "briefly, and on"), 1):
        reader.ask(asked)
        expect(reader.page.locator(".turn")).to_have_count(number)
        reader.status_is("completed")
    prompts = reader.page.locator(".turn .prompt")
    article = reader.page.locator(".turn").nth(1)
    article.get_by_role("button", name="Edit").click()
    box = article.get_by_label("Edit the question")
    expect(box).to_have_value("briefly, first")
    box.press("Escape")
    expect(box).to_be_hidden()
    article.get_by_role("button", name="Edit").click()
    box.fill("briefly, another one")
    box.press("Enter")
    expect(prompts).to_have_text(["briefly", "briefly, another one"])
    reader.status_is("completed")
    assert reader.answer == SHORT
    assert reader.page.evaluate("document.activeElement.matches('.turn')"), "the form had the focus"
    session, other = reader.session, open_page(f"/?session={reader.session}")
    for tab in (reader, other):
        versions = tab.page.get_by_role("group", name="Versions")
        expect(versions).to_have_count(1)
        expect(versions).to_have_text("2/2")
        expect(versions.get_by_role("button", name="Next version")).to_be_disabled()
        versions.get_by_role("button", name="Previous version").press("Enter")
        expect(tab.page.locator(".turn .prompt")).to_have_text(
            ["briefly", "briefly, first", "briefly, and on"]
        )
        assert tab.page.evaluate("document.activeElement.ariaLabel") == "Next version"
        old = tab.page.locator(".turn").nth(1)
        expect(old.get_by_text("Another version counts")).to_be_visible()
        expect(old.get_by_role("button", name="Play")).to_be_visible()
        expect(old.get_by_role("button", name="Copy", exact=True)).to_be_visible()
        expect(old.get_by_role("button", name="Edit")).to_be_hidden()
    reader.ask("briefly, once more")
    for tab in (reader, other):
        expect(tab.page.locator(".turn .prompt")).to_have_text(
            ["briefly", "briefly, another one", "briefly, once more"]
        )
    messages = httpx.get(f"{app.url}/v1/threads/{session}").json()["messages"]
    assert [one["content"] for one in messages if one["role"] == "user"] == [
        "briefly",
        "briefly, another one",
        "briefly, once more",
    ]


def test_a_chat_is_forked_from_an_answer_and_its_text_is_downloaded(open_page: OpenPage) -> None:
    reader = open_page(voice=False)
    reader.ask("briefly")
    reader.status_is("completed")
    first = reader.session
    reader.ask("a story")
    expect(reader.page.locator(".turn")).to_have_count(2)
    article = reader.page.locator(".turn").first
    article.locator(".keep summary").click()
    with reader.page.expect_download() as download:
        article.get_by_role("button", name="Text").click()
    assert download.value.suggested_filename.endswith(".md")
    assert download.value.path().read_text("utf-8") == SHORT
    article.get_by_role("button", name="Fork from here").click()
    reader.page.wait_for_function("(id) => !location.search.includes(id)", arg=first)
    expect(reader.page.locator(".turn .prompt")).to_have_text(["briefly"])
    expect(reader.page.get_by_role("heading", level=1)).to_have_text("briefly (2)")
    history = reader.page.locator(".history").get_by_role("link")
    expect(history.filter(has_text="briefly (2)").first).to_be_visible()
    reader.ask("briefly, in the fork")
    expect(reader.page.locator(".turn")).to_have_count(2)


def test_sentences_that_no_voice_speaks_are_shown_and_the_page_says_so(
    open_page: OpenPage, english: RunningApp
) -> None:
    reader = open_page(english.url)
    reader.ask("How is the weather?")
    reader.status_is("completed")
    expect(reader.page.get_by_text("3 sentences were not spoken.")).to_have_text(
        "3 sentences were not spoken. No voice here speaks Chinese (zh). No voice here speaks Russian (ru)."
    )
    assert reader.answer == FOREIGN
    codes = [
        event["data"]["code"]
        for event in session_log.events(english.url, reader.session)
        if event["type"] == "sentence.failed"
    ]
    assert codes == ["voice.language"] * 3
