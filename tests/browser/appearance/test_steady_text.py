"""Words of an answer stay where they are shown while more is written and words are lit."""

from collections.abc import Callable

import pytest

from tests.browser.page_reader import Reader

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

WIDTHS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
_WATCH = """() => {
  globalThis.moved = []; // [word, before, after]: where a word's first letter stands in its answer
  globalThis.shifted = []; // what the browser itself counts as a layout shift, in the answer
  let places = new Map();
  const look = () => {
    const prose = document.querySelector('.turn:last-child .prose');
    const now = new Map();
    if (prose) {
      const origin = prose.getBoundingClientRect();
      const range = document.createRange();
      const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
      let shown = '';
      while (walker.nextNode()) {
        const node = walker.currentNode;
        for (const { 0: word, index } of node.data.matchAll(/\\S+/g)) {
          range.setStart(node, index);
          range.setEnd(node, index + 1);
          const { x, y } = range.getBoundingClientRect();
          now.set(`${shown.length + index} ${word[0]}`, [x - origin.x, y - origin.y]);
        }
        shown += node.data;
      }
    }
    for (const [letter, after] of now) {
      const before = places.get(letter) ?? after;
      const far = Math.max(...before.map((place, axis) => Math.abs(place - after[axis])));
      if (far > 0.5) moved.push([letter, before, after]);
    }
    places = now;
    requestAnimationFrame(look);
  };
  look();
  new PerformanceObserver((list) => {
    for (const { sources } of list.getEntries()) {
      for (const { node, previousRect, currentRect } of sources) {
        const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
        if (element?.closest?.('.prose')) shifted.push([element.textContent, previousRect.y, currentRect.y]);
      }
    }
  }).observe({ type: 'layout-shift' });
}"""


_BETWEEN_PIXELS = """(prose) => {
  const top = prose.getBoundingClientRect().top;
  return [...prose.querySelectorAll('.sentence')]
    .flatMap((part) => [...part.getClientRects()].map((line) => [part.textContent, line.top - top]))
    .filter(([, place]) => Math.abs(place - Math.round(place)) > 0.02);
}"""


@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("prompt", ["a story", "in markdown", "in lists"])
def test_no_word_moves_while_the_answer_grows_and_lines_stand_on_whole_pixels(
    open_page: OpenPage, device: str, prompt: str
) -> None:
    reader = open_page(viewport=WIDTHS[device])
    reader.page.evaluate(_WATCH)
    reader.ask(prompt)
    reader.status_is("completed")
    reader.page.locator(".word.said").first.wait_for()
    assert reader.page.evaluate("moved") == []
    assert reader.page.evaluate("shifted") == []
    if prompt == "in lists":
        assert reader.page.locator(".prose").evaluate(_BETWEEN_PIXELS) == []
