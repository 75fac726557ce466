/** From a click on a word to the moment at which it is said. */

import { codePoints } from "./text.js";
import { lastBegun } from "./timeline.js";

/** The text node and the place in it below a click, or null. */
function caretAt({ clientX, clientY }) {
  const found = document.caretPositionFromPoint?.(clientX, clientY);
  if (found) return { node: found.offsetNode, offset: found.offset };
  const range = document.caretRangeFromPoint?.(clientX, clientY); // WebKit
  return range ? { node: range.startContainer, offset: range.startOffset } : null;
}

function lettersBefore(sentence, { node, offset }) {
  const range = document.createRange();
  range.selectNodeContents(sentence);
  range.setEnd(node, offset);
  return codePoints(range.toString());
}

/** Milliseconds of `turn`'s sound, or null where the click meant no word of it that is spoken. */
export function momentAt(event, turn) {
  const span = event.target.closest(".sentence");
  if (!span || event.target.closest("a, button") || !getSelection().isCollapsed) return null;
  const number = Number(span.dataset.sentence ?? [...span.closest(".prose").querySelectorAll(".sentence")].indexOf(span));
  const sentence = turn.sentences[number];
  if (!sentence?.firstChunk) return null;
  const caret = caretAt(event);
  if (!caret || !span.contains(caret.node)) return sentence.atMs;
  const letter = sentence.start + lettersBefore(span, caret);
  return sentence.words[lastBegun(sentence.words, letter, "start")]?.start_ms ?? sentence.atMs;
}
