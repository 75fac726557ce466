/** A turn as a small picture: when its words were written, its sentences made, and heard. Plain SVG. */

import { howLong } from "../times.js";
import { t } from "../strings.js";

const SVG = "http://www.w3.org/2000/svg";
const ROWS = [12, 46, 80]; // the labels of words, sentences made, sentences heard
const BAR = 5; // below its label
const THICK = 12;
const AXIS = 112;
const HEIGHT = 132;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((step) => [step, step * 1_000]).sort((a, b) => a - b);

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Round moments for the axis, four to eight of them. */
export function ticks(ms) {
  const step = STEPS.find((size) => ms / size <= 8) ?? 600_000;
  return Array.from({ length: Math.floor(ms / step) + 1 }, (_, number) => number * step);
}

class Picture {
  constructor(from, to) {
    this._from = from;
    this._whole = Math.max(1, to - from);
    this._labels = [];
    this.element = draw("svg", { class: "picture", height: HEIGHT, width: "100%", role: "img" });
  }

  x(at) {
    return `${((100 * Math.max(0, Math.min(at - this._from, this._whole))) / this._whole).toFixed(3)}%`;
  }

  bar(row, from, to, look, title) {
    const least = this._whole / 400;
    const width = Math.min(Math.max(to - from, least), this._whole);
    const x = this.x(from);
    const rect = draw("rect", {
      x,
      y: ROWS[row] + BAR,
      width: this.x(this._from + width),
      height: THICK,
      rx: 2,
      class: look,
    });
    rect.append(draw("title", {}, title));
    this.element.append(rect);
  }

  band(from, to, title) {
    const rect = draw("rect", {
      x: this.x(from),
      y: 0,
      width: this.x(this._from + to - from),
      height: AXIS,
      class: "pause",
    });
    rect.append(draw("title", {}, title));
    this.element.append(rect);
  }

  line(at, look, title) {
    const line = draw("line", { x1: this.x(at), x2: this.x(at), y1: 0, y2: AXIS, class: look });
    line.append(draw("title", {}, title));
    this.element.append(line);
  }

  /** Labels come last, so that no line crosses them out. */
  label(row, text) {
    this._labels.push(draw("text", { x: 0, y: ROWS[row], class: "row-label" }, text));
  }

  axis() {
    this.element.append(...this._labels);
    this.element.append(draw("line", { x1: 0, x2: "100%", y1: AXIS, y2: AXIS, class: "axis" }));
    for (const ms of ticks(this._whole)) {
      const at = this._from + ms;
      this.element.append(draw("line", { x1: this.x(at), x2: this.x(at), y1: AXIS, y2: AXIS + 4, class: "axis" }));
      const share = ms / this._whole;
      const anchor = share > 0.93 ? "end" : share < 0.03 ? "start" : "middle";
      const text = ms === 0 ? "0" : ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
      this.element.append(draw("text", { x: this.x(at), y: HEIGHT - 2, "text-anchor": anchor, class: "tick" }, text));
    }
  }
}

const ENDED = {
  completed: (time) => t("Complete after {time}", { time }),
  stopped: (time) => t("Stopped after {time}", { time }),
  failed: (time) => t("Failed after {time}", { time }),
};

/** `spans`: when a patient listener hears the sentences. */
export function pictureOf(turn, spans, chronicle) {
  const over = turn.endAt !== null;
  const until = Math.max(turn.endAt ?? chronicle.latestAt, over ? (spans.at(-1)?.to ?? 0) : 0, turn.requestedAt + 1);
  const picture = new Picture(turn.requestedAt, until);
  const since = (at) => howLong(at - turn.requestedAt);
  for (const { from, to } of chronicle.pauses) {
    if (from < until && (to ?? until) > turn.requestedAt)
      picture.band(from, to ?? until, t("Paused after {time}", { time: since(from) }));
  }
  drawWords(picture, turn, until, since);
  const heard = spans.filter(({ from }) => from < until).map((span) => ({ ...span, to: Math.min(span.to, until) }));
  if (turn.sentences.some((sentence) => sentence?.voicedAt)) drawSentences(picture, turn, heard, until, since);
  for (const { at, node } of turn.takeovers) picture.line(at, "takeover", t("Taken over by {node} after {time}", { node, time: since(at) }));
  if (over) picture.line(turn.endAt, `end ${turn.status}`, ENDED[turn.status](since(turn.endAt)));
  picture.axis();
  return picture.element;
}

function drawWords(picture, turn, until, since) {
  picture.label(0, turn.kind === "text" ? t("Text received") : t("Text written"));
  const first = turn.firstTextAt ?? turn.endAt ?? until;
  picture.bar(0, turn.requestedAt, first, "wait", t("Waiting for the first words: {time}", { time: since(first) }));
  if (turn.firstTextAt === null) return;
  const last = turn.textDoneAt ?? turn.endAt ?? until;
  picture.bar(0, turn.firstTextAt, last, "words", t("Words from {from} to {to}", { from: since(turn.firstTextAt), to: since(last) }));
}

function drawSentences(picture, turn, spans, until, since) {
  picture.label(1, t("Sentences made"));
  for (const { number, readyAt, voicedAt, firstSoundAt, doneAt } of turn.sentences.filter((one) => one?.voicedAt)) {
    const begun = firstSoundAt ?? voicedAt;
    if (readyAt !== null && readyAt < begun)
      picture.bar(1, readyAt, begun, "wait", t("Sentence {number} waited from {time}", { number: number + 1, time: since(readyAt) }));
    const made = t("Sentence {number}, made from {time}", { number: number + 1, time: since(begun) });
    picture.bar(1, begun, doneAt ?? until, number % 2 ? "made odd" : "made", made);
  }
  picture.label(2, t("Sentences heard"));
  for (const { number, from, to } of spans) {
    const heard = t("Sentence {number}, heard from {time}", { number: number + 1, time: since(from) });
    picture.bar(2, from, to, number % 2 ? "heard odd" : "heard", heard);
  }
  if (turn.firstSoundAt !== null)
    picture.line(turn.firstSoundAt, "first-sound", t("First sound after {time}", { time: since(turn.firstSoundAt) }));
}
