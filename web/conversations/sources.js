/** What an answer rests on: markers in its text that open their passage, and the list of sources below it. */

import { asSentence, make, say } from "../dom.js";
import { t } from "../strings.js";

const MARKER = /(\[\d{1,3}\])/;
const CLOSING = /^\s?[.,;:!?…)»”]+/; // belongs to the marker before it, also where a line ends

/** The text in pieces; every second one is a marker. Pure. */
export const pieces = (text) => text.split(MARKER);

/** "The lighthouse, page 3 · History". Pure. */
export function placeOf({ title, page, headings }) {
  const under = headings.filter((heading) => heading !== title);
  return [page ? t("{title}, page {page}", { title, page }) : title, ...(under.length ? [under.join(" › ")] : [])].join(" · ");
}

/** The numbers of the passages that are cited, in the order of the text. Pure. */
export function citedIn({ supports }) {
  const inOrder = [...supports].sort((one, other) => one.start - other.start);
  return [...new Set(inOrder.map(({ number }) => number))];
}

/** Strings and, where a marker names a passage of the turn, descriptions of buttons that open it. */
export function withMarkers(text, { passages = [] }) {
  if (!passages.length) return [text];
  const parts = pieces(text);
  const markers = parts.map((piece, at) => {
    const passage = at % 2 && passages.find(({ number }) => `[${number}]` === piece);
    if (!passage) return piece;
    const [closing = ""] = CLOSING.exec(parts[at + 1]) ?? [];
    parts[at + 1] = parts[at + 1].slice(closing.length);
    const marker = { tag: "button", attributes: { class: "cite", ...labelled(passage) }, children: [piece] };
    return closing ? { tag: "span", attributes: { class: "whole" }, children: [marker, closing] } : marker;
  });
  return markers.filter(Boolean);
}

/** Shows the passage that a marker or an entry of the list names. */
export async function openSource({ passages }, number) {
  const { openPassage } = await import("./passage.js");
  openPassage(passages.find((passage) => passage.number === number));
}

function labelled(passage) {
  const label = t("Source {number}: {name}", { number: passage.number, name: placeOf(passage) });
  return { type: "button", "data-passage": String(passage.number), "aria-label": label, title: label };
}

/** The list below an answer; there is none where nothing was looked up. */
export class Sources {
  constructor() {
    this._list = make("ul", { class: "sources", "aria-label": t("Sources") });
    this._more = make("details", { class: "also" }, make("summary", { class: "quiet" }), make("ul", { class: "sources" }));
    this._failed = make("p", { class: "note" });
    this.element = make("div", { class: "rests-on", hidden: "" }, this._list, this._more, this._failed);
    this._shown = null;
    this._turn = null;
    this.element.addEventListener("click", ({ target }) => {
      const source = target.closest("[data-passage]");
      if (source) void openSource(this._turn, Number(source.dataset.passage));
    });
  }

  /** While the answer is being written its sources may still come. */
  update(turn, folded) {
    this._turn = turn;
    const { passages = [], supports = [], lookedUp = null, textWhole } = turn;
    this.element.hidden = folded || !textWhole || !(passages.length || lookedUp);
    if (this.element.hidden || this._shown === supports) return;
    this._shown = supports;
    const cited = citedIn(turn).map((number) => passages.find((passage) => passage.number === number));
    const others = passages.filter((passage) => !cited.includes(passage));
    this._list.replaceChildren(...cited.filter(Boolean).map(entry));
    this._list.hidden = !cited.length;
    this._more.hidden = !others.length;
    const [summary, list] = this._more.children;
    summary.textContent = cited.length ? t("Also looked at ({count})", { count: others.length }) : t("Looked at ({count})", { count: others.length });
    list.replaceChildren(...others.map(entry));
    say(this._failed, lookedUp && `${t("The documents could not be searched for this answer.")} ${asSentence(lookedUp)}`);
  }
}

function entry(passage) {
  const attributes = { class: "source", ...labelled(passage) };
  return make("li", {}, make("button", attributes, `[${passage.number}] `, make("span", {}, placeOf(passage))));
}
