/** A small hand to write logs with. */

import { emptyStory, reduce } from "../../../web/story.js";

export class Log {
  constructor() {
    this.facts = [];
    this.now = 1_000_000;
    this.add("session.started", { settings: { voice: "joe", speech_speed: 1, speak: true }, title: "" }, null);
  }

  /** Record a fact `later` ms after the one before; returns its number. */
  add(type, data = {}, turn = null, later = 0) {
    this.now += later;
    this.facts.push({ seq: this.facts.length + 1, ts: this.now, turn, type, v: 1, data });
    return this.facts.length;
  }

  ask(text, settings = { speak: true }) {
    const turn = this.facts.length + 1;
    this.add("turn.requested", { kind: "prompt", text, settings }, turn);
    this.add("turn.started", { epoch: 1 }, turn);
    return turn;
  }

  /** A whole sentence, `ms` long, heard from `atMs`, as characters [start, end). */
  speak(turn, sentence, { start, end, atMs, ms, words = [] }) {
    this.add("sentence.ready", { sentence, start, end, spoken: "…" }, turn);
    this.add("sentence.voiced", { sentence, voice: "joe", at_ms: atMs, words }, turn);
    const chunk = this.add("audio.chunk", { sentence, chunk: 0, at_ms: atMs, ms, codec: "opus", bytes: 9, last: true }, turn);
    this.add("sentence.completed", { sentence, at_ms: atMs, ms }, turn);
    return chunk;
  }

  get story() {
    return this.facts.reduce(reduce, emptyStory());
  }
}
