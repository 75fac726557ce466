/** Colours of the code in answers: ranges that the browser paints, so that the text on the page stays as it is. */

const GROWTH = 1.25; // growing code is read anew when it is so much longer: a long one in proportion to its length
const MOST_CHARS = 100_000; // longer code keeps one colour
const NAMES = {
  comment: ["comment", "quote"],
  keyword: ["keyword", "selector-tag", "meta", "section", "tag"],
  name: ["title", "name", "type", "built_in", "attr", "attribute", "property", "selector-id", "selector-class", "selector-attr", "selector-pseudo"],
  number: ["number", "literal", "variable", "template-variable", "bullet", "deletion"],
  string: ["string", "regexp", "char", "link", "symbol", "addition", "code"],
};
const COLOR_OF = Object.fromEntries(Object.entries(NAMES).flatMap(([color, scopes]) => scopes.map((scope) => [scope, color])));

let highlighter = null;

/** The library, which only pages with code load; null where the browser paints no ranges, or it cannot be loaded now. */
async function loaded() {
  if (!globalThis.CSS?.highlights) return null;
  highlighter ??= import(new URL("./vendor/highlight.min.js", import.meta.url).href);
  try {
    return (await highlighter).default;
  } catch {
    highlighter = null;
    return null;
  }
}

/** [{start, end, color}] of code in `language`, as the library reads it; none in a language that it does not know. Pure. */
export function tokensOf(library, code, language) {
  if (!library.getLanguage(language) || code.length > MOST_CHARS) return [];
  const tokens = [];
  let at = 0;
  const walk = ({ children }, color) => {
    for (const child of children) {
      if (typeof child !== "string") walk(child, child.scope === "subst" ? null : (COLOR_OF[child.scope?.split(".")[0]] ?? color));
      else if (color && child.trim()) tokens.push({ start: at, end: (at += child.length), color });
      else at += child.length;
    }
  };
  walk(library.highlight(code, { language, ignoreIllegals: true })._emitter.rootNode, null);
  return tokens;
}

const painted = new Map(); // by the elements of code on the page: {drawn, text, shape, tokens, ranges}

/** Colour the code below `element`, which has just been drawn. */
export function colorCode(element) {
  for (const code of painted.keys()) if (!code.isConnected) forget(code);
  const codes = element.querySelectorAll("code[data-language]");
  if (codes.length) void loaded().then((library) => library && codes.forEach((code) => paint(library, code)));
}

function paint(library, code) {
  const before = painted.get(code);
  if (before?.drawn === code.drawnFrom || !code.isConnected) return;
  const text = code.textContent;
  const shape = code.querySelectorAll(".sentence, .speaking").length;
  const grows = code.querySelector(".last") !== null;
  if (grows && before?.shape === shape && text.length < before.text.length * GROWTH) return;
  const tokens = before?.text === text ? before.tokens : tokensOf(library, text, code.dataset.language);
  forget(code);
  const ranges = [...rangesOf(code, tokens)];
  for (const { color, range } of ranges) highlightOf(color).add(range);
  painted.set(code, { drawn: code.drawnFrom, text, shape, tokens, ranges });
}

function forget(code) {
  for (const { color, range } of painted.get(code)?.ranges ?? []) highlightOf(color).delete(range);
  painted.delete(code);
}

function highlightOf(color) {
  const name = `code-${color}`;
  if (!CSS.highlights.has(name)) CSS.highlights.set(name, new Highlight());
  return CSS.highlights.get(name);
}

/** The tokens' places in the text nodes of `code`; what is said just now has the colour of that. */
function* rangesOf(code, tokens) {
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  let number = 0;
  let begin = 0;
  for (let node = texts.nextNode(); node && number < tokens.length; node = texts.nextNode()) {
    const end = begin + node.length;
    const lit = node.parentElement.closest(".speaking");
    while (number < tokens.length && tokens[number].start < end) {
      const { start, end: stop, color } = tokens[number];
      const [startOffset, endOffset] = [Math.max(start, begin) - begin, Math.min(stop, end) - begin];
      if (!lit && startOffset < endOffset) {
        yield { color, range: new StaticRange({ startContainer: node, startOffset, endContainer: node, endOffset }) };
      }
      if (stop > end) break; // it goes on in the next text
      number += 1;
    }
    begin = end;
  }
}
