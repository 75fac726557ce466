/** Sound that may have to be sent again, and the wishes between it, in their order. Pure. */

import { SPEECH_RATE } from "./resampler.js";

const KEPT_MS = 60_000;

/**
 * Positions count from the beginning of the input. What is acknowledged is forgotten; when more than a minute is
 * kept, so is the oldest, and whoever wants it sent again is told that it is gone.
 */
export class Backlog {
  constructor({ keptMs = KEPT_MS, rate = SPEECH_RATE } = {}) {
    this._perMs = rate / 1000;
    this._kept = keptMs * this._perMs;
    this._items = []; // {at, pcm} and {at, wish}; `at` and all positions in here in samples
    this._next = 0; // the first of them that has not been sent
    this._end = 0;
  }

  get endMs() {
    return this._end / this._perMs;
  }

  /** From where on the sound is still here. */
  get fromMs() {
    return (this._items.find(({ pcm }) => pcm)?.at ?? this._end) / this._perMs;
  }

  get heldMs() {
    return this.endMs - this.fromMs;
  }

  get empty() {
    return this._items.length === 0;
  }

  get wishes() {
    return this._items.flatMap(({ wish }) => wish ?? []);
  }

  push(pcm) {
    this._items.push({ at: this._end, pcm });
    this._end += pcm.length;
    while (this._end - this._items[0].at > this._kept) this._forgetFirst();
  }

  /** Something to be said between the sound before it and the sound after it; kept until it is `done`. */
  wish(wish) {
    this._items.push({ at: this._end, wish });
  }

  done(wish) {
    const at = this._items.findIndex((item) => item.wish === wish);
    if (at >= 0) this._forget(at);
  }

  /** The next thing to send, {pcm} or {wish}, or null. */
  next() {
    const item = this._items[this._next] ?? null;
    if (item) this._next += 1;
    return item;
  }

  /** So many samples of silence were sent before a wish: it and all that follows are as much later. */
  fill(samples, wish) {
    const before = this._items.findIndex((item) => item.wish === wish);
    if (samples <= 0 || before < 0) return;
    const later = this._items.slice(before);
    this._items.splice(before, 0, { at: later[0].at, pcm: new Int16Array(samples) });
    for (const item of later) item.at += samples;
    this._end += samples;
    this._next += 1;
  }

  /** Sound before `ms` need not be sent again. */
  acknowledge(ms) {
    const isSafe = ({ at, pcm }) => pcm && at + pcm.length <= ms * this._perMs;
    for (let at = this._items.length - 1; at >= 0; at -= 1) {
      if (isSafe(this._items[at])) this._forget(at);
    }
  }

  /** Send again from `ms` on. False if that cannot be done, because not all of it is here. */
  rewind(ms) {
    const from = Math.round(ms * this._perMs);
    if (from < this.fromMs * this._perMs || from > this._end) return false;
    this.acknowledge(ms);
    const cut = this._items.find(({ at, pcm }) => pcm && at < from);
    if (cut) {
      cut.pcm = cut.pcm.slice(from - cut.at);
      cut.at = from;
    }
    this._next = 0;
    return true;
  }

  /** What is here becomes the beginning of another input. */
  restart() {
    const begin = this.fromMs * this._perMs;
    for (const item of this._items) item.at = Math.max(0, item.at - begin);
    this._end -= begin;
    this._next = 0;
  }

  _forgetFirst() {
    this._forget(this._items.findIndex(({ pcm }) => pcm));
    while (this._items[0]?.wish && this._items.some(({ pcm }) => pcm)) this._forget(0); // about sound that is gone
  }

  _forget(at) {
    this._items.splice(at, 1);
    if (at < this._next) this._next -= 1;
  }
}
