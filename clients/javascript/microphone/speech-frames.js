/** What the audio thread makes of a microphone: frames of 16-bit speech. Pure. */

import { Resampler, SPEECH_RATE } from "./resampler.js";

export const FRAME_MS = 32;
const FRAME = (SPEECH_RATE * FRAME_MS) / 1000;

/** Samples in [-1, 1] as 16-bit numbers; what is louder is cut off. */
export function toPcm16(samples) {
  return Int16Array.from(samples, (sample) => Math.round(Math.max(-32_768, Math.min(32_767, sample * 32_768))));
}

/** Blocks of sound at `rate` in, whole frames of PCM out. */
export class SpeechFrames {
  constructor(rate) {
    this._resampler = new Resampler(rate);
    this._waiting = new Int16Array(0);
  }

  push(samples) {
    const news = toPcm16(this._resampler.push(samples));
    const all = new Int16Array(this._waiting.length + news.length);
    all.set(this._waiting);
    all.set(news, this._waiting.length);
    const frames = [];
    let at = 0;
    for (; at + FRAME <= all.length; at += FRAME) frames.push(all.slice(at, at + FRAME));
    this._waiting = all.slice(at);
    return frames;
  }
}
