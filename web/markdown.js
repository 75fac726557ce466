/**
 * Markdown as language models write it, read into a tree whose leaves are ranges of the source. Pure.
 *
 * A node is {tag, start, end, children} (a link also has `href`, a list `first`, an item `task`, a cell `align`, code `language`,
 * a formula, whose tag is "math", `tex` and perhaps `display`),
 * a leaf {start, end}: the source's UTF-16 units that are shown. Nothing becomes HTML: a tag is text.
 * CommonMark and GFM where models use them: headings, lists, tasks, quotes, code, rules, tables, emphasis, links; and formulas
 * of TeX between $, $$, \\( \\) or \\[ \\].
 * Differences: line breaks stay, indented text is no code, entities and references are text, an image is a link.
 */

// No expression may have two ways to read one place: the time it takes must grow with the line, not with its square.
const FENCE = /^ {0,12}(`{3,}(?!`)|~{3,}(?!~))[ \t]*(?![ \t])([^\s`]*)(?:\s[^`]*)?$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^([ \t]*)([-*+•]|\d{1,9}[.)])([ \t]+|$)/;
const TASK = /^\[([ xX])\](?:[ \t]+|$)/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*(?:\|[ \t]*)?$/;
const INDENT = /^[ \t]*/;
const FORMULA = /^ {0,3}(\$\$|\\\[)/;
const CLOSINGS = { $$: "$$", "\\[": "\\]", "\\(": "\\)" };
const PRICE = /^\d[\d.,]*[,;]?\s+\p{L}{2}/u; // "$5 and more, or 10$"
const DEEPEST = 12; // containers, and spans, within each other; what lies deeper is text
const LONGEST_RUN = 6; // of stars or underlines that are no text
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}_]/u;
const SAFE_URL = /^(?:https?:\/\/|mailto:)[^\s<>"`]+$/i;
const BARE_URL = /https?:\/\/[^\s<>"`*|]+/iy;
const AFTER_URL = ".,;:!?'\")]}_~"; // at its end these belong to the sentence
const TARGET = /\(\s{0,9}<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s{1,9}(?:"[^"]*"|'[^']*'))?\s{0,9}\)/y;
const BREAK = /<br ?\/?>/iy;
const UNSETTLED = [
  /(?<![^\n])[ \t]*\|(?=[^\n]*[^-:|\s])[^\n]*(?:\n[ \t]*\|?[-:| \t]*)?$/, // a row, or a table's head without its rule
  /\[[^\]\n]{0,80}$/,
  /[^\s\p{Lo}]{1,80}$/u,
];
const UNCLOSED = /(?:^|[\s("'])(\*\*|\*|`)(?=[^\s*`])(?:(?!\1)[^\n])*$/;

/** The blocks of `text`. */
export function parse(text) {
  const lines = [];
  for (let start = 0; start <= text.length; ) {
    const end = text.indexOf("\n", start);
    lines.push({ start, end: end < 0 ? text.length : end });
    start = lines.at(-1).end + 1;
  }
  return blocks(text, lines, 0);
}

/** As `parse`, where `before` are the blocks of a text that `text` begins with: what grew is read anew. */
export function parseOn(text, before) {
  const kept = before.slice(0, -2); // the line that was the last may change its block and the one before
  const from = kept.at(-1)?.end ?? 0;
  return [...kept, ...parse(text.slice(from)).map((block) => moved(block, from))];
}

/** The part of a growing text that can be shown: a word, a link or a row that is not whole would move when it is. */
export function settled(text) {
  const at = Math.max(0, text.length - 400);
  return text.slice(0, at) + UNSETTLED.reduce((end, pattern) => end.replace(pattern, ""), text.slice(at));
}

/** A text that grows, as if what it emphasises, or its code, ended where it ends. */
export function closed(text) {
  const mark = UNCLOSED.exec(text.slice(text.lastIndexOf("\n") + 1))?.[1];
  return mark ? text.trimEnd() + mark : text;
}

const moved = (node, by) => {
  const shifted = { ...node, start: node.start + by, end: node.end + by };
  return node.children ? { ...shifted, children: node.children.map((child) => moved(child, by)) } : shifted;
};

/** The text without its marks: for a line that announces it. */
export const shownText = (text, nodes) =>
  nodes
    .map(({ start, end, children }) => (children ? `${shownText(text, children)} ` : text.slice(start, end)))
    .join("");

const node = (tag, start, end, children, about = {}) => ({ tag, start, end, children, ...about });

function blocks(text, lines, depth) {
  const found = [];
  const of = ({ start, end }) => text.slice(start, end);
  let at = 0;
  while (at < lines.length) {
    const line = of(lines[at]);
    const read = line.trim() ? (container(text, lines, at, depth) ?? leafBlock(text, lines, at)) : null;
    if (read) found.push(read.block);
    at = read?.next ?? at + 1;
  }
  return found;
}

function leafBlock(text, lines, at) {
  const { start, end } = lines[at];
  const line = text.slice(start, end);
  const fence = FENCE.exec(line);
  if (fence) return fenced(text, lines, at, fence);
  if (RULE.test(line)) return { block: node("hr", start, end, []), next: at + 1 };
  const heading = HEADING.exec(line);
  if (heading) {
    const closed = headingEnd(line.slice(heading[0].length));
    const from = start + heading[0].length;
    const level = Math.min(6, heading[1].length + 2); // the page and the question have levels 1 and 2
    return { block: node(`h${level}`, start, end, inline(text, [{ start: from, end: from + closed }])), next: at + 1 };
  }
  return formula(text, lines, at) ?? table(text, lines, at) ?? paragraph(text, lines, at);
}

/** Lines from one that opens a formula to that which closes it; without one, a paragraph up to the next empty line. */
function formula(text, lines, at) {
  const of = ({ start, end }) => text.slice(start, end);
  const opening = FORMULA.exec(of(lines[at]));
  if (!opening) return null;
  const closing = CLOSINGS[opening[1]];
  const inner = [];
  for (let next = at; next < lines.length && of(lines[next]).trim(); next += 1) {
    const { end } = lines[next];
    const start = next === at ? lines[at].start + opening[0].length : lines[next].start;
    const found = text.slice(start, end).indexOf(closing);
    inner.push({ start, end: found < 0 ? Math.min(end + 1, text.length) : start + found });
    if (found < 0) continue;
    if (text.slice(start + found + closing.length, end).trim()) {
      return next === at ? null : paragraphOf(text, lines.slice(at, next + 1), next + 1);
    }
    const tex = inner.map(of).join("");
    if (!tex.trim()) return null;
    return { block: node("math", lines[at].start, end, inner, { tex, display: true }), next: next + 1 };
  }
  return inner.length > 1 ? paragraphOf(text, lines.slice(at, at + inner.length), at + inner.length) : null;
}

/** Length of a heading's text without the marks that may close it. */
function headingEnd(words) {
  const shown = words.trimEnd();
  let end = shown.length;
  while (shown[end - 1] === "#") end -= 1;
  return end === 0 || /\s/.test(shown[end - 1]) ? shown.slice(0, end).trimEnd().length : shown.length;
}

function fenced(text, lines, at, [opening, marks, language]) {
  const indent = INDENT.exec(opening)[0].length;
  const closing = new RegExp(`^[ \\t]*\\${marks[0]}{${marks.length},}[ \\t]*$`);
  let last = at + 1;
  while (last < lines.length && !closing.test(text.slice(lines[last].start, lines[last].end))) last += 1;
  const children = lines.slice(at + 1, last).map(({ start, end }) => ({
    start: start + Math.min(indent, INDENT.exec(text.slice(start, end))[0].length),
    end: Math.min(end + 1, text.length),
  }));
  const closed = last < lines.length;
  const block = node("pre", lines[at].start, lines[closed ? last : last - 1].end, children, { language });
  return { block, next: last + Number(closed) };
}

/** Cells of a row as {start, end}; a bar in code or behind a backslash is none. */
function cells(text, { start, end }) {
  const bars = [];
  let ticks = 0;
  for (let at = start; at < end; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "`") ticks += 1;
    else if (text[at] === "|" && ticks % 2 === 0) bars.push(at);
  }
  const edges = [start - 1, ...bars, end];
  const parts = edges.slice(1).map((edge, number) => trimmed(text, edges[number] + 1, edge));
  if (parts.length > 1 && parts[0].start === parts[0].end) parts.shift();
  if (parts.length > 1 && parts.at(-1).start === parts.at(-1).end) parts.pop();
  return parts;
}

function trimmed(text, start, end) {
  const cell = text.slice(start, end);
  const from = start + cell.length - cell.trimStart().length;
  return { start: from, end: from + cell.trim().length };
}

function table(text, lines, at) {
  const rule = lines[at + 1];
  const isBegun = rule && text.slice(lines[at].start, lines[at].end).includes("|");
  if (!isBegun || !DELIMITERS.test(text.slice(rule.start, rule.end))) return null;
  const head = cells(text, lines[at]);
  const marks = cells(text, rule).map(({ start, end }) => text.slice(start, end));
  if (marks.length !== head.length) return null;
  const aligns = marks.map((mark) => (mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "right") : ""));
  const row = (line, tag) => {
    const columns = cells(text, line).slice(0, head.length);
    const children = columns.map((cell, number) =>
      node(tag, cell.start, cell.end, inline(text, [cell]), { align: aligns[number] }),
    );
    return node("tr", line.start, line.end, children);
  };
  let next = at + 2;
  while (next < lines.length && continues(text.slice(lines[next].start, lines[next].end))) next += 1;
  const body = lines.slice(at + 2, next).map((line) => row(line, "td"));
  const parts = [node("thead", lines[at].start, lines[at].end, [row(lines[at], "th")])];
  if (body.length) parts.push(node("tbody", body[0].start, body.at(-1).end, body));
  return { block: node("table", lines[at].start, lines[next - 1].end, parts), next };
}

/** A line that is no block of its own, so that a paragraph or a table goes on with it. */
function continues(line) {
  if (!line.trim() || [FENCE, RULE, HEADING, QUOTE, FORMULA].some((begins) => begins.test(line))) return false;
  const item = ITEM.exec(line);
  return !item || item[3] === "" || (/\d/.test(item[2]) && !/^1[.)]$/.test(item[2]));
}

function paragraph(text, lines, at) {
  let next = at + 1;
  while (next < lines.length && continues(text.slice(lines[next].start, lines[next].end))) next += 1;
  return paragraphOf(text, lines.slice(at, next), next);
}

const paragraphOf = (text, own, next) => ({ block: node("p", own[0].start, own.at(-1).end, inline(text, own)), next });

function container(text, lines, at, depth) {
  const line = text.slice(lines[at].start, lines[at].end);
  if (depth >= DEEPEST || RULE.test(line)) return null;
  if (QUOTE.test(line)) return quote(text, lines, at, depth);
  return ITEM.test(line) ? list(text, lines, at, depth) : null;
}

function quote(text, lines, at, depth) {
  const inner = [];
  let next = at;
  for (; next < lines.length; next += 1) {
    const { start, end } = lines[next];
    const line = text.slice(start, end);
    const mark = QUOTE.exec(line);
    if (!mark && !(continues(line) && next > at)) break;
    inner.push({ start: start + (mark?.[0].length ?? 0), end });
  }
  return { block: node("blockquote", lines[at].start, lines[next - 1].end, blocks(text, inner, depth + 1)), next };
}

const kindOf = (marker) => (/\d/.test(marker) ? marker.at(-1) : marker);

function list(text, lines, at, depth) {
  const [, margin, marker] = ITEM.exec(text.slice(lines[at].start, lines[at].end));
  const items = [];
  let next = at;
  let loose = false;
  while (next < lines.length) {
    const item = ITEM.exec(text.slice(lines[next].start, lines[next].end));
    const isNext = item && kindOf(item[2]) === kindOf(marker) && item[1].length < margin.length + 2;
    if (!isNext || RULE.test(text.slice(lines[next].start, lines[next].end))) break;
    const read = listItem(text, lines, next, item, depth);
    items.push(read.item);
    loose ||= read.loose || (read.next - read.last > 1 && startsItem(text, lines[read.next], marker));
    next = read.next;
  }
  const about = /\d/.test(marker) ? { first: Number.parseInt(marker, 10) } : {};
  const children = loose ? items : items.map(tightened);
  return { block: node(/\d/.test(marker) ? "ol" : "ul", lines[at].start, items.at(-1).end, children, about), next };
}

function startsItem(text, line, marker) {
  const item = line && ITEM.exec(text.slice(line.start, line.end));
  return Boolean(item) && kindOf(item[2]) === kindOf(marker);
}

/** One item: its first line, and those that are indented or go on with its paragraph. */
function listItem(text, lines, at, [all, margin], depth) {
  const from = lines[at].start + all.length;
  const task = TASK.exec(text.slice(from, lines[at].end));
  const inner = [{ start: from + (task?.[0].length ?? 0), end: lines[at].end }];
  let next = at + 1;
  let last = at;
  let loose = false;
  for (; next < lines.length; next += 1) {
    const { start, end } = lines[next];
    const line = text.slice(start, end);
    const indent = INDENT.exec(line)[0].length;
    const blank = !line.trim();
    const within = indent >= margin.length + 2;
    if (!blank && !within && !(next === last + 1 && continues(line) && !ITEM.test(line))) break;
    if (!blank && next > last + 1) loose = true;
    if (!blank) last = next;
    inner.push({ start: start + Math.min(indent, all.length), end });
  }
  const own = inner.slice(0, last - at + 1);
  const about = task ? { task: task[1] === " " ? "open" : "done" } : {};
  return { item: node("li", lines[at].start, lines[last].end, blocks(text, own, depth + 1), about), next, last, loose };
}

/** Without paragraphs: an item of a list that has no empty lines. */
function tightened(item) {
  return { ...item, children: item.children.flatMap((child) => (child.tag === "p" ? child.children : [child])) };
}

/** Spans and leaves of text that stands in the ranges of `lines`. */
function inline(text, lines) {
  const last = lines.at(-1);
  if (last.start >= last.end && lines.length === 1) return [];
  return new Spans(text, lines).read(0, last.end - last.start + offsetOf(lines, lines.length - 1), false);
}

const offsetOf = (lines, number) => {
  let offset = 0;
  for (let at = 0; at < number; at += 1) offset += lines[at].end - lines[at].start + 1;
  return offset;
};

/** Reads the spans of one paragraph: its lines joined, each place of which is one of the source. */
class Spans {
  constructor(text, lines) {
    this._shown = lines.map(({ start, end }) => text.slice(start, end)).join("\n");
    this._pieces = []; // {at, start}: from `at` on, the joined text is the source from `start` on
    let at = 0;
    for (const { start, end } of lines) {
      const piece = this._pieces.at(-1);
      if (!piece || start !== piece.start + at - piece.at) this._pieces.push({ at, start });
      at += end - start + 1;
    }
    this._closings = brackets(this._shown);
    this._runs = tickRuns(this._shown);
    this._ahead = {}; // of each closing of formulas, the place that was found last: no text is searched for it twice
  }

  /** Nodes of the joined text from `from` to `to`. */
  read(from, to, inLink) {
    const tokens = [];
    let at = from;
    let plainFrom = from;
    const take = (end, token) => {
      if (plainFrom < at) tokens.push({ from: plainFrom, to: at });
      tokens.push(token);
      at = end;
      plainFrom = end;
    };
    while (at < to) {
      const found = this._special(at, to, inLink);
      if (found) take(...found);
      else at += 1;
    }
    if (plainFrom < to) tokens.push({ from: plainFrom, to });
    return emphasised(tokens).flatMap((token) => this._placed(token));
  }

  /** [end, token] of what begins at `at`, or null. */
  _special(at, to, inLink) {
    const shown = this._shown;
    switch (shown[at]) {
      case "\\":
        if (!PUNCTUATION.test(shown[at + 1] ?? "")) return null;
        return this._formula(at, to, shown.slice(at, at + 2)) ?? [at + 2, { from: at + 1, to: at + 2 }];
      case "$":
        return shown[at + 1] === "$" ? this._formula(at, to, "$$") : this._inDollars(at, to);
      case "`":
        return this._code(at, to);
      case "*":
      case "_":
      case "~":
        return this._run(at, to);
      case "<":
        return this._break(at, to);
      case "!":
        return shown[at + 1] === "[" && !inLink ? this._link(at, at + 1, to) : null;
      case "[":
        return inLink ? null : this._link(at, at, to);
      case "h":
      case "H":
        return inLink || WORD.test(shown[at - 1] ?? " ") ? null : this._bareLink(at, to);
      default:
        return null;
    }
  }

  /** From `opening`, of two characters, to what closes it. */
  _formula(at, to, opening) {
    const closing = CLOSINGS[opening];
    if (!closing) return null;
    if (!(this._ahead[closing] >= at + 2)) {
      const found = this._shown.indexOf(closing, at + 2);
      this._ahead[closing] = found < 0 ? Infinity : found;
    }
    const end = this._ahead[closing];
    if (end + 2 > to || !this._shown.slice(at + 2, end).trim()) return null;
    return [end + 2, this._math(at, at + 2, end, end + 2, opening !== "\\(")];
  }

  /** As Pandoc tells formulas from money: no space within the dollars, no digit behind them. */
  _inDollars(at, to) {
    const shown = this._shown;
    let end = at + 1;
    while (end < to && shown[end] !== "$" && shown[end] !== "\n") end += shown[end] === "\\" ? 2 : 1;
    const tex = shown.slice(at + 1, end);
    if (end >= to || shown[end] !== "$" || !tex || tex.trim() !== tex || PRICE.test(tex)) return null;
    if (WORD.test(shown[at - 1] ?? " ") || /\d/.test(shown[end + 1] ?? "")) return null;
    return [end + 1, this._math(at, at + 1, end, end + 1, false)];
  }

  _math(from, begin, end, to, display) {
    return { tag: "math", from, to, about: { tex: this._shown.slice(begin, end), display }, children: [{ from: begin, to: end }] };
  }

  _break(at, to) {
    BREAK.lastIndex = at;
    const end = BREAK.test(this._shown) ? BREAK.lastIndex : Infinity;
    return end <= to ? [end, { tag: "br", from: at, to: end }] : null;
  }

  _code(at, to) {
    const run = this._runs.get(at);
    if (!run) return null;
    const { length, next: closing } = run;
    if (closing === null || closing + length > to) return [at + length, { from: at, to: at + length }];
    let [from, end] = [at + length, closing];
    const padded = this._shown[from] === " " && this._shown[end - 1] === " " && this._shown.slice(from, end).trim();
    if (padded) [from, end] = [from + 1, end - 1];
    return [closing + length, { tag: "code", from: at, to: closing + length, children: [{ from, to: end }] }];
  }

  _run(at, to) {
    const mark = this._shown[at];
    let end = at;
    while (end < to && this._shown[end] === mark) end += 1;
    const before = this._shown[at - 1] ?? " ";
    const after = this._shown[end] ?? " ";
    const inWord = mark === "_" && WORD.test(before) && WORD.test(after);
    const counts = mark === "~" ? end - at === 2 : end - at <= LONGEST_RUN;
    const opens = counts && /\S/.test(after) && !inWord;
    const closes = counts && /\S/.test(before) && !inWord;
    return [end, { mark, from: at, to: end, opens, closes }];
  }

  _link(at, opening, to) {
    const closing = this._closings.get(opening);
    if (closing === undefined || closing >= to || this._shown[closing + 1] !== "(") return null;
    TARGET.lastIndex = closing + 1;
    const target = TARGET.exec(this._shown);
    if (!target || TARGET.lastIndex > to || !SAFE_URL.test(target[1])) return null;
    const end = TARGET.lastIndex;
    const children = this.read(opening + 1, closing, true);
    return [end, { tag: "a", from: at, to: end, about: { href: target[1] }, placed: children }];
  }

  _bareLink(at, to) {
    BARE_URL.lastIndex = at;
    const found = BARE_URL.exec(this._shown)?.[0].slice(0, to - at) ?? "";
    let { length } = found;
    while (length && AFTER_URL.includes(found[length - 1])) length -= 1;
    const url = found.slice(0, length);
    if (!SAFE_URL.test(url)) return null;
    const range = { from: at, to: at + url.length };
    return [range.to, { tag: "a", ...range, about: { href: url }, children: [range] }];
  }

  /** A token as nodes of the source; a leaf that runs over lines which lie apart becomes several. */
  _placed({ tag, from, to, children, placed, about }) {
    if (tag) {
      const inner = placed ?? (children ?? []).flatMap((child) => this._placed(child));
      return [node(tag, this._source(from), this._source(to - 1) + 1, inner, about)];
    }
    const leaves = [];
    for (let at = from; at < to; ) {
      const number = this._pieceAt(at);
      const end = Math.min(to, this._pieces[number + 1]?.at ?? to);
      const start = this._source(at);
      leaves.push({ start, end: start + end - at });
      at = end;
    }
    return leaves;
  }

  _pieceAt(at) {
    let [low, high] = [0, this._pieces.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._pieces[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  _source(at) {
    const piece = this._pieces[this._pieceAt(at)];
    return piece.start + at - piece.at;
  }
}

/** Of each opening bracket, where it is closed. */
function brackets(text) {
  const closings = new Map();
  const open = [];
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "[") open.push(at);
    else if (text[at] === "]" && open.length) closings.set(open.pop(), at);
  }
  return closings;
}

/** Runs of backticks, by where they begin: {length, next}; the `next` one of the same length, or null. */
function tickRuns(text) {
  const runs = new Map();
  const latest = new Map();
  for (const { index, 0: run } of [...text.matchAll(/`+/g)].reverse()) {
    runs.set(index, { length: run.length, next: latest.get(run.length) ?? null });
    latest.set(run.length, index);
  }
  return runs;
}

/** Tokens, where runs of marks that belong together have become spans, and the others text. */
function emphasised(tokens) {
  const out = [];
  const openers = []; // places in `out`
  const waiting = { "*": 0, _: 0, "~": 0 };
  const forget = () => (waiting[out[openers.pop()].mark] -= 1);
  for (const token of tokens) {
    if (!token.mark) {
      out.push(token);
      continue;
    }
    let rest = token;
    while (rest.closes && rest.from < rest.to && waiting[rest.mark]) {
      while (out[openers.at(-1)].mark !== rest.mark) forget();
      const place = openers.at(-1);
      const opener = out[place];
      const size = Math.min(2, opener.to - opener.from, rest.to - rest.from);
      const tag = rest.mark === "~" ? "del" : size === 2 ? "strong" : "em";
      const children = out.splice(place + 1);
      const span = { tag, from: opener.to - size, to: rest.from + size, children };
      forget();
      out.pop();
      if (opener.to - opener.from > size) {
        openers.push(out.push({ ...opener, to: opener.to - size }) - 1);
        waiting[opener.mark] += 1;
      }
      out.push(span);
      rest = { ...rest, from: rest.from + size };
    }
    if (rest.from === rest.to) continue;
    const place = out.push(rest) - 1;
    if (!rest.opens) continue;
    openers.push(place);
    waiting[rest.mark] += 1;
    if (openers.length > DEEPEST) waiting[out[openers.shift()].mark] -= 1;
  }
  return out;
}
