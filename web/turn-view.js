/** One turn on the page: what was asked, the answer as it grows, and the light on what is being said. */

import { AnswerText } from "./answer-text.js";
import { Sources } from "./conversations/sources.js";
import { unspokenWords } from "./languages.js";
import { asSentence, icon, make, say } from "./dom.js";
import { isOver } from "./story.js";
import { comparisonView } from "./microphone/comparison-view.js";
import { sentenceAt, wordAt } from "./timeline.js";
import { refusalOf } from "./refusals.js";
import { beginning, t } from "./strings.js";

const STATE_WORDS = { queued: t("Queued"), stopping: t("Stopping…"), stopped: t("Stopped") };
const STOPPED_WORDS = { barge_in: t("Stopped here: you spoke"), merged: t("Question extended") };
const KEEPSAKES = [
  ["WAV", "/audio", { format: "wav" }],
  ["MP3", "/audio", { format: "mp3" }],
  [t("Captions (VTT)"), "/captions.vtt", {}],
  [t("Captions (SRT)"), "/captions.srt", {}],
];

function heading({ id, first, kind, prompt, result }) {
  if (first !== id) return t("Continued");
  if (result !== null) return t("Result of a function: {text}", { text: beginning(result) });
  return kind === "prompt" ? prompt : t("Text to speech: {text}", { text: beginning(prompt) });
}

export class TurnView {
  /** `onReplay(turn)`; `link(path, query)` gives the address of a download; `actions` are those of a conversation. */
  constructor(turn, { onReplay, onUnfold, link, actions = null }) {
    this.prompt = make("h2", { class: "prompt" }, heading(turn));
    this.text = new AnswerText();
    this.prose = this.text.element;
    this.state = make("span", { class: "state" });
    this.problem = make("p", { class: "problem" });
    this.unfold = make("button", { type: "button", class: "quiet" }, icon("down"), t("Show"));
    this.replay = make("button", { type: "button", class: "quiet replay" }, icon("play"), t("Play"));
    this.keep = make("details", { class: "keep" }, make("summary", { class: "quiet" }, icon("down"), t("Download")));
    this.actions = actions;
    const further = actions?.elements ?? [];
    this.footer = make("footer", {}, this.unfold, this.replay, ...further, this.keep, this.state);
    this.element = make("article", { class: "turn", "data-turn": String(turn.id), "aria-label": this.prompt.textContent });
    this.compared = make("div", { class: "compared" });
    this.sources = new Sources();
    this.by = make("p", { class: "by", hidden: "" });
    const form = actions ? [actions.form] : [];
    const [above, below] = turn.first === turn.id ? [form, []] : [[], form];
    this.element.append(this.by, this.prompt, ...above, this.compared, this.prose);
    this.element.append(this.sources.element, this.problem, ...below, this.footer);
    for (const [name, path, query] of KEEPSAKES) {
      const href = link(path, { ...query, turn: turn.first });
      this.keep.append(make("a", { href, download: "" }, name));
    }
    const text = make("button", { type: "button", class: "quiet" }, t("Text"));
    text.addEventListener("click", () => save(`answer-${turn.first}.md`, this._part.answer.text));
    this.keep.append(text);
    this.replay.addEventListener("click", () => onReplay(this._part.answer.id));
    this.unfold.addEventListener("click", onUnfold);
    this._turn = null;
    this._folded = null;
    this._counts = true;
    this._part = null;
    this._compared = null;
    this._stopper = "";
  }

  /**
   * Bring the page up to `turn`; folded, only its beginning is kept in the document. `counts`: no other version does.
   * `part`: {answer, parts, begins, ends}, where several turns, `parts`, are one `answer`, of which this is the first or the last.
   */
  update(turn, folded, counts = true, part = { answer: turn, parts: [turn], begins: true, ends: true }) {
    const same = turn === this._turn && folded === this._folded && counts === this._counts;
    if (same && isSamePart(part, this._part)) return;
    this._counts = counts;
    this._part = part;
    if (folded !== this._folded) this.text.clear();
    this._turn = turn;
    this._folded = folded;
    if (folded) this.text.fold(turn);
    else this.text.update(turn);
    const over = isOver(turn);
    this.element.classList.toggle("folded", folded);
    this.element.classList.toggle("continued", !folded && !part.begins);
    this.element.classList.toggle("goes-on", !folded && !part.ends);
    this.element.dataset.status = turn.status;
    this.element.dataset.writing = String(!over && !turn.textWhole && turn.status === "running");
    this.prose.setAttribute("aria-busy", String(!over && !turn.textWhole));
    this.unfold.hidden = !folded;
    this.replay.hidden = !(over && part.answer.audioMs > 0);
    this.keep.hidden = !(over && (part.answer.audioMs > 0 || part.answer.text.trim()));
    for (const link of this.keep.querySelectorAll("a")) link.hidden = this.replay.hidden;
    this._compare(turn);
    this.sources.update(part.ends && !folded ? part.parts : []);
    this._tellState();
    say(this.problem, problemOf(turn));
    this.showFooter();
  }

  showFooter() {
    const elsewhere = !this._folded && !this._part.ends; // at the end of the answer
    this.footer.hidden = elsewhere || [...this.footer.children].every((part) => part.hidden);
  }

  /** `asker` and `stopper`: the names of who asked and who stopped it, empty where only one person takes part. */
  told({ asker, stopper }) {
    say(this.by, asker);
    if (stopper === this._stopper) return;
    this._stopper = stopper;
    if (this._turn) this._tellState();
  }

  _tellState() {
    say(this.state, this._counts ? stateWords(this._turn, this._stopper) : t("Another version counts"));
  }

  /** Unfolded, as it is now: it has gone on since it was put on the page. */
  show() {
    this.update(this._turn, false, this._counts, this._part);
  }

  _compare({ compared }) {
    if (compared === this._compared || this._folded) return;
    this._compared = compared;
    this.compared.replaceChildren(...compared.map(comparisonView));
  }

  /** Put the light on what is heard at `ms`; null takes it away. Returns an element of what is lit. */
  light(ms) {
    if (this._folded || !this._turn) return null;
    const number = ms === null ? -1 : sentenceAt(this._turn, ms);
    this.prose.classList.toggle("narrated", ms !== null);
    return this.text.light(number, wordAt(this._turn.sentences[number] ?? null, ms));
  }

  /** The sentences are to be cut anew: from now on they are those of another reading. */
  recut() {
    this._turn = null;
    this.text.clear();
  }
}

const isSamePart = ({ answer, begins, ends }, before) =>
  begins === before?.begins && ends === before.ends && answer.text === before.answer.text && answer.audioMs === before.answer.audioMs;

/** Why it was not answered, or not again, or not aloud. */
function problemOf(turn) {
  if (turn.error) return asSentence(refusalOf(turn.error));
  if (turn.replacing) return `${t("It could not be written again.")} ${asSentence(refusalOf(turn.replacing))}`;
  return unspokenWords(turn);
}

/** An answer that speech over it stopped, or silenced when it was complete already. */
function stateWords({ status, stopReason, cut }, stopper) {
  if (stopper && status === "stopped" && stopReason === "user") return t("Stopped by {name}", { name: stopper });
  if (cut && status === "completed" && !stopReason) return t("Cut off at its length limit");
  const interrupted = status === "stopped" || status === "completed";
  return (interrupted && STOPPED_WORDS[stopReason]) || STATE_WORDS[status];
}

/** Have the browser keep `text` as a file. */
function save(name, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/markdown" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
