/** The text of an answer on the page: Markdown while it grows, cut into sentences, with the light on one of them. */

import { colorCode } from "./code-colors.js";
import { openSource, withMarkers } from "./conversations/sources.js";
import { asSentence, copyBy, make } from "./dom.js";
import { typeset, typesetting } from "./formulas.js";
import { closed, parseOn, settled, shownText } from "./markdown.js";
import { unitAt } from "./text.js";
import { t } from "./strings.js";

const TEASER_CHARS = 140;

export class AnswerText {
  constructor() {
    this.element = make("div", { class: "prose", dir: "auto" });
    this.element.addEventListener("click", ({ target }) => this._pressed(target.closest("button")));
    this.clear();
  }

  clear() {
    this._turn = null;
    this._blocks = [];
    this._source = ""; // the text on show
    this._read = ""; // as what it was read
    this._sentences = [];
    this._known = null;
    this._lit = -1;
    this._word = -1;
    this._words = [];
    this._parts = new Map(); // the source of each block
    this._formulas = new Map(); // by how they are written: as they are typeset, or null
    this._waits = false; // for formulas to be typeset
    this.element.replaceChildren();
  }

  /** Only its beginning is kept in the document. */
  fold(turn) {
    this.clear();
    const beginning = turn.text.slice(0, TEASER_CHARS * 2);
    this.element.textContent = shownText(beginning, parseOn(beginning, [])).slice(0, TEASER_CHARS);
  }

  update(turn) {
    this._turn = turn;
    const { sentences } = turn;
    const grows = !turn.textWhole && turn.overAt === null;
    const text = grows ? settled(turn.text) : turn.text;
    const read = grows ? closed(text) : text;
    if (read !== this._read) {
      this._blocks = parseOn(read, text.startsWith(this._source) ? this._blocks : []);
      this._source = text;
      this._read = read;
    }
    if (sentences !== this._known) {
      this._known = sentences;
      this._sentences = sentences.map((sentence) => rangeOf(turn, sentence));
    }
    this._draw();
  }

  /** Put the light on sentence `number` and on its `word`, -1 for none. Returns an element of what is lit, or null. */
  light(number, word) {
    if (number !== this._lit) {
      this._lit = number;
      this._draw();
    }
    if (word !== this._word) {
      this._mark(this._word, false);
      this._mark(word, true);
    }
    this._word = word;
    return this._words[word]?.[0] ?? this.element.querySelector(".sentence.speaking");
  }

  _mark(word, said) {
    for (const element of this._words[word] ?? []) element.classList.toggle("said", said);
  }

  _draw() {
    const outline = [];
    let end = 0;
    for (const block of this._blocks) {
      if (block.start > end) outline.push({ gap: this._source.slice(end, block.start) });
      outline.push({ block });
      end = block.end;
    }
    if (end < this._source.length) outline.push({ gap: this._source.slice(end) });
    const isOver = this._turn?.textWhole;
    const drawn = outline.map(({ gap, block }, number) => {
      if (gap !== undefined) return gap;
      return this._block(block, !isOver && number >= outline.length - 2 && block === this._blocks.at(-1));
    });
    if (!this._blocks.length) drawn.push({ tag: "span", attributes: { class: "tail last" }, children: [] });
    patch(this.element, drawn);
    this._words = [];
    for (const element of this.element.querySelectorAll(".word")) {
      (this._words[Number(element.dataset.word)] ??= []).push(element);
    }
    this._mark(this._word, true);
    colorCode(this.element);
  }

  /** Drawn anew only where something about it has changed. */
  _block(block, isLast) {
    const first = this._sentenceAt(block.start);
    let signature = `${block.start} ${block.end} ${isLast} ${this._turn.passages?.length}`;
    for (let number = first; this._sentences[number]?.start < block.end; number += 1) {
      signature += ` ${this._classOf(number)} ${this._sentences[number].start}`;
    }
    const known = this._parts.get(block.start);
    const source = this._source.slice(block.start, block.end);
    if (known?.signature === signature && known.source === source) return known.drawn;
    const children = this._drawn([block], isLast ? lastLeaf(block) : null);
    const drawn = block.tag === "math" ? { tag: "p", attributes: {}, children } : children[0];
    this._parts.set(block.start, { signature, source, drawn });
    return drawn;
  }

  _drawn(nodes, last) {
    return nodes.flatMap((node) => {
      if (!node.children) return this._leaf(node, node === last);
      const formula = node.tag === "math" && this._formula(node);
      if (formula) return [formula];
      if (node.tag === "math") return this._leaf(node, last && node.children.includes(last));
      const children = this._drawn(node.children, last);
      if (node.tag === "pre") return [codeBlock(node, children)];
      return [{ tag: node.tag, attributes: attributesOf(node), children }];
    });
  }

  /** The first sentence that ends behind `at`. */
  _sentenceAt(at) {
    let [low, high] = [0, this._sentences.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._sentences[middle].end > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Text in pieces: one for each sentence that it is a part of, and what no sentence has taken yet. */
  _leaf({ start, end }, isLast) {
    const pieces = [];
    let at = start;
    for (let number = this._sentenceAt(at); at < end && number < this._sentences.length; number += 1) {
      const sentence = this._sentences[number];
      if (sentence.start >= end) break;
      if (sentence.start > at) pieces.push(this._source.slice(at, sentence.start));
      const from = Math.max(at, sentence.start);
      const to = Math.min(end, sentence.end);
      if (to > from) pieces.push(this._sentence(number, from, to));
      at = Math.max(at, to);
    }
    const taken = this._sentences.at(-1)?.end ?? 0;
    const rest = this._source.slice(at, end);
    if (at >= taken && rest.trim()) pieces.push(span("tail", this._markers(rest)));
    else if (rest) pieces.push(rest);
    if (isLast) pieces.push(span("last", []));
    return pieces;
  }

  /** A formula typeset, as a part of the sentence that it begins in; null where it stands as it is written. */
  _formula({ start, tex, display }) {
    if (!globalThis.temml && !this._waits) {
      this._waits = true;
      void typesetting().then((can) => can && this._drawAnew());
    }
    const key = `${display} ${tex}`;
    if (globalThis.temml && !this._formulas.has(key)) this._formulas.set(key, typeset(tex, display));
    const drawn = this._formulas.get(key);
    if (!drawn) return null;
    const number = this._sentenceAt(start);
    const name = this._sentences[number]?.start <= start ? this._classOf(number) : "tail";
    const attributes = display ? { tabindex: "0" } : {}; // it may be wider than the page
    return { tag: "span", attributes: { class: `formula ${display ? "display " : ""}${name}`, ...attributes }, children: [drawn.cloneNode(true)] };
  }

  _drawAnew() {
    this._parts.clear();
    if (this._turn) this._draw();
  }

  _sentence(number, from, to) {
    const isLit = number === this._lit;
    const children = isLit ? this._inWords(number, from, to) : this._markers(this._source.slice(from, to));
    const { error, done } = this._turn.sentences[number];
    const title = error && done ? { title: t("Not spoken: {reason}", { reason: asSentence(error) }) } : {};
    const name = this._classOf(number);
    const before = name.endsWith("unheard") ? { "data-short": t("Not heard from here:") } : {};
    const place = { "data-sentence": String(number), "data-from": String(from) }; // for a click on a word
    return span(name, children, { ...title, ...before, ...place });
  }

  _classOf(number) {
    const { error, done, firstChunk, atMs } = this._turn.sentences[number];
    const names = ["sentence"];
    if (number === this._lit) names.push("speaking");
    else if (number > this._lit) names.push("ahead");
    if (error && done) names.push("unsaid");
    // The user spoke over it: the part that was not heard stands back.
    if (this._turn.flushedAt !== null && (!firstChunk || atMs >= this._turn.heardMs)) names.push("unheard");
    return names.join(" ");
  }

  /** Each word of the sentence has an element of its own for as long as the sentence is being said. */
  _inWords(number, from, to) {
    const parts = [];
    let at = from;
    this._turn.sentences[number].words.forEach((word, place) => {
      const start = Math.max(at, unitAt(this._turn.wide, word.start));
      const end = Math.min(to, unitAt(this._turn.wide, word.end));
      if (end <= start) return;
      if (start > at) parts.push(...this._markers(this._source.slice(at, start)));
      parts.push(span("word", this._markers(this._source.slice(start, end)), { "data-word": String(place) }));
      at = end;
    });
    return [...parts, ...this._markers(this._source.slice(at, to))];
  }

  _markers(text) {
    return withMarkers(text, this._turn);
  }

  _pressed(button) {
    if (button?.matches(".cite")) void openSource(this._turn.passages.find(({ number }) => number === Number(button.dataset.passage)));
    if (!button?.matches(".copy-code")) return;
    void copyBy(button, button.closest(".code").querySelector("code").textContent);
  }
}

/** In UTF-16 units, without the white space at its end, which no light falls on. */
function rangeOf(turn, { start, end }) {
  const from = unitAt(turn.wide, start);
  const text = turn.text.slice(from, unitAt(turn.wide, end));
  return { start: from, end: from + text.trimEnd().length };
}

const span = (name, children, further = {}) => ({ tag: "span", attributes: { class: name, ...further }, children });

function lastLeaf(node) {
  while (node?.children) node = node.children.at(-1);
  return node ?? null;
}

function attributesOf({ tag, href, first, align, task }) {
  if (task) return { class: `task-${task}` };
  if (tag === "a") return { href, target: "_blank", rel: "noopener noreferrer nofollow" };
  if (tag === "ol" && first !== 1) return { start: String(first) };
  return align ? { class: `to-${align}` } : {};
}

function codeBlock({ language }, children) {
  const copy = { tag: "button", attributes: { type: "button", class: "quiet copy-code", "aria-label": t("Copy code") }, children: [t("Copy")] };
  const about = [{ tag: "span", attributes: { class: "language" }, children: language ? [language] : [] }, copy];
  const label = language ? t("Code, {language}", { language }) : t("Code");
  const code = [{ tag: "code", attributes: language ? { "data-language": language } : {}, children }];
  return {
    tag: "div",
    attributes: { class: "code" },
    children: [
      { tag: "div", attributes: { class: "code-head" }, children: about },
      { tag: "pre", attributes: { tabindex: "0", role: "region", "aria-label": label, dir: "ltr" }, children: code },
    ],
  };
}

/** Make the children of `parent` those of the description, touching only what differs. */
function patch(parent, wanted) {
  wanted.forEach((part, number) => {
    const node = parent.childNodes[number];
    if (typeof part === "string") {
      if (node?.nodeType !== Node.TEXT_NODE) put(parent, node, document.createTextNode(part));
      else if (node.data !== part) retext(node, part);
      return;
    }
    if (node?.drawnFrom === part || node === part) return;
    if (part instanceof Node) {
      put(parent, node, part);
      return;
    }
    const isSame = node?.localName === part.tag;
    const element = isSame ? node : document.createElement(part.tag);
    for (const name of isSame ? element.getAttributeNames() : []) {
      if (!(name in part.attributes)) element.removeAttribute(name);
    }
    for (const [name, value] of Object.entries(part.attributes)) {
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
    patch(element, part.children);
    element.drawnFrom = part;
    if (!isSame) put(parent, node, element);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

const put = (parent, old, node) => (old ? old.replaceWith(node) : parent.append(node));

/** A selection stays where the text only grows, or loses its end. */
function retext(node, text) {
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else if (node.data.startsWith(text)) node.deleteData(text.length, node.length);
  else node.data = text;
}
