/** What the audio thread makes of a microphone: frames of 16-bit speech, and how loud each is. Pure. */

import { Resampler, SPEECH_RATE } from "./resampler.js";

export const FRAME_MS = 32;
const FRAME = (SPEECH_RATE * FRAME_MS) / 1000;

const SILENCE_DB = -60;
const LOUD_DB = -12;

/** Samples in [-1, 1] as 16-bit numbers; what is louder is cut off. */
export function toPcm16(samples) {
  return Int16Array.from(samples, (sample) => Math.round(Math.max(-32_768, Math.min(32_767, sample * 32_768))));
}

export function rmsOf(pcm) {
  let power = 0;
  for (const sample of pcm) power += (sample / 32_768) ** 2;
  return pcm.length ? Math.sqrt(power / pcm.length) : 0;
}

/** For the eye: 0 is silence, 1 is loud. */
export function loudness(rms) {
  const db = 20 * Math.log10(Math.max(rms, 1e-9));
  return Math.max(0, Math.min(1, (db - SILENCE_DB) / (LOUD_DB - SILENCE_DB)));
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
