/** Sources of an answer: markers in its text that open their passage, and the list of sources below it. */

import { asSentence, make, say } from "../dom.js";
import { refusalOf } from "../refusals.js";
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

/** Sources of the parts of one answer, as turns: `{cited, others}`, passages, each once. Pure. */
export function restsOn(parts) {
  const at = ({ document, start }) => `${document} ${start}`;
  const once = (passages, key) => [...new Map(passages.map((passage) => [key(passage), passage])).values()];
  const cited = parts.flatMap((part) => citedIn(part).flatMap((number) => part.passages.filter((passage) => passage.number === number)));
  const isCited = new Set(cited.map(at));
  const others = parts.flatMap(({ passages }) => passages).filter((passage) => !isCited.has(at(passage)));
  return { cited: once(cited, (passage) => `${at(passage)} ${passage.number}`), others: once(others, at) };
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

/** Shows the passage in its document. */
export async function openSource(passage) {
  const { openPassage } = await import("./passage.js");
  openPassage(passage);
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
    this._shown = [];
  }

  /** `parts`: the turns whose answers are one; none where the list stands elsewhere. While one is written its sources may still come. */
  update(parts) {
    const written = parts.filter(({ textWhole }) => textWhole);
    const lookedUp = written.find((part) => part.lookedUp)?.lookedUp ?? null;
    this.element.hidden = !(lookedUp || written.some(({ passages = [] }) => passages.length));
    const supports = written.map((part) => part.supports);
    if (this.element.hidden || (supports.length === this._shown.length && supports.every((one, number) => one === this._shown[number]))) return;
    this._shown = supports;
    const { cited, others } = restsOn(written);
    this._list.replaceChildren(...cited.map(entry));
    this._list.hidden = !cited.length;
    this._more.hidden = !others.length;
    const [summary, list] = this._more.children;
    summary.textContent = cited.length ? t("Also looked at ({count})", { count: others.length }) : t("Looked at ({count})", { count: others.length });
    list.replaceChildren(...others.map(entry));
    say(this._failed, lookedUp && `${t("The documents could not be searched for this answer.")} ${asSentence(refusalOf(lookedUp))}`);
  }
}

function entry(passage) {
  const button = make("button", { class: "source", ...labelled(passage) }, `[${passage.number}] `, make("span", {}, placeOf(passage)));
  button.addEventListener("click", () => openSource(passage));
  return make("li", {}, button);
}
