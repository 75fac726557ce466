/** One turn on the page: what was asked, the answer as it grows, and the light on what is being said. */

import { Sources, withMarkers } from "./conversations/sources.js";
import { unspokenWords } from "./languages.js";
import { asSentence, icon, make, say } from "./dom.js";
import { isOver, textOf } from "./story.js";
import { comparisonView } from "./microphone/comparison-view.js";
import { sentenceAt, wordAt } from "./timeline.js";

const TEASER_CHARS = 140;
const STATE_WORDS = { queued: "Queued", stopping: "Stopping…", stopped: "Stopped" };
const STOPPED_WORDS = { barge_in: "Stopped here: you spoke", merged: "Question extended" };
const KEEPSAKES = [
  ["WAV", "/audio", { format: "wav" }],
  ["MP3", "/audio", { format: "mp3" }],
  ["Captions (VTT)", "/captions.vtt", {}],
  ["Captions (SRT)", "/captions.srt", {}],
];

export class TurnView {
  /** `onReplay(turn)`; `link(path, query)` gives the address of a download; `actions` are those of a conversation. */
  constructor(turn, { onReplay, onUnfold, link, actions = null }) {
    this.prompt = make("h2", { class: "prompt" }, turn.kind === "prompt" ? turn.prompt : "Text to speech");
    this.prose = make("div", { class: "prose", dir: "auto" });
    this.state = make("span", { class: "state" });
    this.problem = make("p", { class: "problem" });
    this.unfold = make("button", { type: "button", class: "quiet" }, icon("down"), "Show");
    this.replay = make("button", { type: "button", class: "quiet replay" }, icon("play"), "Play");
    this.keep = make("details", { class: "keep" }, make("summary", { class: "quiet" }, icon("down"), "Download"));
    this.actions = actions;
    const further = actions?.elements ?? [];
    this.footer = make("footer", {}, this.unfold, this.replay, ...further, this.keep, this.state);
    this.element = make("article", { class: "turn", "data-turn": String(turn.id), "aria-label": this.prompt.textContent });
    this.compared = make("div", { class: "compared" });
    this.sources = new Sources();
    const by = turn.by ? [make("p", { class: "by" }, turn.by)] : [];
    this.element.append(...by, this.prompt, this.compared, this.prose);
    this.element.append(this.sources.element, this.problem, this.footer);
    for (const [name, path, query] of KEEPSAKES) {
      const href = link(path, { ...query, turn: turn.id });
      this.keep.append(make("a", { href, download: "" }, name));
    }
    this.replay.addEventListener("click", () => onReplay(turn.id));
    this.unfold.addEventListener("click", onUnfold);
    this._turn = null;
    this._folded = null;
    this._compared = null;
    this._clearProse();
  }

  /** Bring the page up to `turn`; folded, only its beginning is kept in the document. */
  update(turn, folded) {
    if (turn === this._turn && folded === this._folded) return;
    const refold = folded !== this._folded;
    this._turn = turn;
    this._folded = folded;
    if (refold) this._clearProse();
    if (folded) this._tail.data = turn.text.slice(0, TEASER_CHARS);
    else this._grow(turn);
    const over = isOver(turn);
    this.element.classList.toggle("folded", folded);
    this.element.dataset.status = turn.status;
    this.element.dataset.writing = String(!over && !turn.textWhole && turn.status === "running");
    this.prose.setAttribute("aria-busy", String(!over && !turn.textWhole));
    this.unfold.hidden = !folded;
    this.replay.hidden = !(over && turn.audioMs > 0);
    this.keep.hidden = this.replay.hidden;
    this._compare(turn);
    this.sources.update(turn, folded);
    say(this.state, stateWords(turn));
    say(this.problem, turn.error ? asSentence(turn.error.message) : unspokenWords(turn));
    this.footer.hidden = [...this.footer.children].every((part) => part.hidden);
  }

  /** Unfolded, as it is now: it has gone on since it was put on the page. */
  show() {
    this.update(this._turn, false);
  }

  _compare({ compared }) {
    if (compared === this._compared || this._folded) return;
    this._compared = compared;
    this.compared.replaceChildren(...compared.map(comparisonView));
  }

  /** Put the light on what is heard at `ms`; null takes it away. Returns the lit sentence's element. */
  light(ms) {
    if (this._folded || !this._turn) return null;
    const number = ms === null ? -1 : sentenceAt(this._turn, ms);
    const sentence = this._turn.sentences[number] ?? null;
    this.prose.classList.toggle("narrated", ms !== null);
    if (number !== this._lit) this._moveLight(number, sentence);
    const word = wordAt(sentence, ms);
    if (this._words.length && word !== this._word) {
      this._words[this._word]?.classList.remove("said");
      this._words[word]?.classList.add("said");
      this._word = word;
    }
    return this._spans[number] ?? null;
  }

  /** The sentences are to be cut anew: from now on they are those of another reading. */
  recut() {
    this._turn = null;
    this._clearProse();
  }

  _clearProse() {
    this._spans = [];
    this._tail = document.createTextNode("");
    this._tailSpan = make("span", { class: "tail" }, this._tail);
    this.prose.replaceChildren(this._tailSpan);
    this._lit = -1;
    this._words = [];
    this._word = -1;
  }

  _grow(turn) {
    for (let number = this._spans.length; number < turn.sentences.length; number += 1) {
      const [said, gap] = withoutGap(textOf(turn, turn.sentences[number]));
      this._spans.push(make("span", { class: "sentence ahead" }, ...withMarkers(said, turn)));
      this._tailSpan.before(this._spans.at(-1), gap);
    }
    turn.sentences.forEach(({ error, done }, number) => {
      if (!error || !done) return;
      this._spans[number].classList.add("unsaid");
      this._spans[number].title = `Not spoken: ${asSentence(error)}`;
    });
    if (turn.flushedAt !== null) this._dim(turn);
    const cut = turn.sentences.at(-1)?.end ?? 0;
    const tail = textOf(turn, { start: cut, end: turn.chars });
    if (this._tail.data !== tail) this._tail.data = tail;
  }

  /** Somebody spoke: what nobody heard of the answer stands back. */
  _dim({ sentences, heardMs }) {
    const isUnheard = ({ firstChunk, atMs }) => !firstChunk || atMs >= heardMs;
    sentences.forEach((sentence, number) => this._spans[number].classList.toggle("unheard", isUnheard(sentence)));
  }

  _moveLight(number, sentence) {
    const old = this._spans[this._lit];
    if (old) {
      old.classList.remove("speaking");
      const [said] = withoutGap(textOf(this._turn, this._turn.sentences[this._lit]));
      old.replaceChildren(...withMarkers(said, this._turn));
    }
    this._spans.forEach((span, at) => span.classList.toggle("ahead", at > number));
    this._lit = number;
    this._word = -1;
    this._words = [];
    if (!sentence) return;
    this._spans[number].classList.add("speaking");
    this._words = wrapWords(this._spans[number], this._turn, sentence);
  }
}

/** What was stopped, or fell silent when it was complete already, because somebody spoke. */
function stateWords({ status, stopReason, cut }) {
  if (cut && status === "completed" && !stopReason) return "Cut off at its length limit";
  const interrupted = status === "stopped" || status === "completed";
  return (interrupted && STOPPED_WORDS[stopReason]) || STATE_WORDS[status];
}

/** The text and the white space after it, which no light falls on. */
function withoutGap(text) {
  const end = text.trimEnd().length;
  return [text.slice(0, end), text.slice(end)];
}

/** Give each word of the sentence an element of its own, for as long as it is being said. */
function wrapWords(span, turn, sentence) {
  const words = [];
  const parts = [];
  let at = sentence.start;
  for (const { start, end } of sentence.words) {
    if (start > at) parts.push(...withMarkers(textOf(turn, { start: at, end: start }), turn));
    const said = textOf(turn, { start: Math.max(start, at), end });
    words.push(make("span", { class: "word" }, ...withMarkers(said, turn)));
    parts.push(words.at(-1));
    at = Math.max(at, end);
  }
  const rest = textOf(turn, { start: at, end: sentence.end }).trimEnd();
  span.replaceChildren(...parts, ...withMarkers(rest, turn));
  return words;
}
