/** From a click on a word to the moment at which it is said. */

import { unitAt } from "./text.js";

/** The text node and the place in it below a click, or null. */
function caretAt({ clientX, clientY }) {
  const found = document.caretPositionFromPoint?.(clientX, clientY);
  if (found) return { node: found.offsetNode, offset: found.offset };
  const range = document.caretRangeFromPoint?.(clientX, clientY); // WebKit
  return range ? { node: range.startContainer, offset: range.startOffset } : null;
}

function lettersBefore(span, { node, offset }) {
  const range = document.createRange();
  range.selectNodeContents(span);
  range.setEnd(node, offset);
  return range.toString().length;
}

/** Milliseconds of `turn`'s sound, or null where the click meant no word of it that is spoken. */
export function momentAt(event, turn) {
  const span = event.target.closest(".sentence");
  if (!span || event.target.closest("a, button") || !getSelection().isCollapsed) return null;
  const sentence = turn.sentences[Number(span.dataset.sentence)];
  if (!sentence?.firstChunk) return null;
  const caret = caretAt(event);
  const place = Number(span.dataset.from) + (caret && span.contains(caret.node) ? lettersBefore(span, caret) : 0);
  const word = sentence.words.findLast(({ start }) => unitAt(turn.wide, start) <= place);
  return word?.start_ms ?? sentence.atMs;
}
