/** A microphone's frames on their way to the server: silence goes out in longer frames, speech at once. Pure. */

import { SPEECH_RATE } from "./resampler.js";

const TOGETHER_MS = 250; // of silence in one frame, rounded up to whole frames of the source
const AFTER_MS = 2_000; // of silence in which each frame may still decide when an utterance ends
const LOUDER = 2; // peaks this much above those of silence may be speech
const RISE = 1.01; // the level of silence grows no faster with each frame; it falls at once
const INAUDIBLE = 16; // -66 dB

function peakOf(pcm) {
  let peak = 0;
  for (const sample of pcm) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

export class FrameBatcher {
  constructor(rate = SPEECH_RATE) {
    this._perMs = rate / 1000;
    /** @type {Int16Array} */
    this._waiting = new Int16Array(0);
    this._floor = Infinity;
    this._quiet = 0; // samples since the last loud frame
  }

  /**
   * The sound that is to be sent now: empty, or everything that waited and `pcm`.
   *
   * @param {Int16Array} pcm
   */
  push(pcm) {
    const peak = peakOf(pcm);
    const loud = peak > Math.max(INAUDIBLE, LOUDER * this._floor);
    this._floor = Math.min(peak, this._floor * RISE + 1);
    this._quiet = loud ? 0 : this._quiet + pcm.length;
    const all = this._waiting.length ? new Int16Array([...this._waiting, ...pcm]) : pcm;
    const waits = this._quiet > AFTER_MS * this._perMs && all.length < TOGETHER_MS * this._perMs;
    this._waiting = waits ? all : new Int16Array(0);
    return waits ? this._waiting.subarray(0, 0) : all;
  }

  /** Everything that waits. */
  take() {
    const all = this._waiting;
    this._waiting = new Int16Array(0);
    return all;
  }
}
