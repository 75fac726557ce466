/** Sound of any rate to the rate of speech, block by block, without a seam. Pure. */

export const SPEECH_RATE = 16_000;

const CROSSINGS = 16; // zero crossings of the filter on either side: it looks 1 ms ahead
const PASSED = 0.92; // of the narrower of the two bands
const KAISER_BETA = 8; // what would fold back is 80 dB down

const divisor = (one, other) => (other === 0 ? one : divisor(other, one % other));

/** The modified Bessel function of the first kind and order 0. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let n = 1; term > 1e-9 * sum; n += 1) {
    term *= (x / (2 * n)) ** 2;
    sum += term;
  }
  return sum;
}

function windowedSinc(x, cutoff, reach) {
  const inside = 1 - (x / reach) ** 2;
  if (inside <= 0) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
  return (sinc * bessel(KAISER_BETA * Math.sqrt(inside))) / bessel(KAISER_BETA);
}

/** One filter for each place that an output sample can have between two input samples; each adds up to 1. */
function filters(phases, cutoff, reach) {
  return Array.from({ length: phases }, (_, phase) => {
    const taps = Float32Array.from({ length: 2 * reach }, (_, tap) =>
      windowedSinc(tap - reach + 1 - phase / phases, cutoff, reach),
    );
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return taps.map((tap) => tap / sum);
  });
}

/** However the sound is cut into blocks, the same samples come out; sample n belongs to the time n / `to`. */
export class Resampler {
  constructor(from, to = SPEECH_RATE) {
    const common = divisor(from, to);
    this._same = from === to;
    this._phases = to / common;
    this._step = from / common;
    const reach = Math.ceil(CROSSINGS * Math.max(1, from / to));
    this._filters = this._same ? [] : filters(this._phases, PASSED * Math.min(1, to / from), reach);
    this._held = new Float32Array(reach - 1); // the silence before the first sample
    this._phase = 0;
  }

  push(samples) {
    if (this._same) return samples.slice();
    const all = new Float32Array(this._held.length + samples.length);
    all.set(this._held);
    all.set(samples, this._held.length);
    const out = [];
    let at = 0;
    for (; at + this._filters[0].length <= all.length; at += this._advance()) {
      const taps = this._filters[this._phase];
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap += 1) sum += taps[tap] * all[at + tap];
      out.push(sum);
    }
    this._held = all.slice(at);
    return Float32Array.from(out);
  }

  /** To the next output sample; returns how many input samples lie before it. */
  _advance() {
    const next = this._phase + this._step;
    this._phase = next % this._phases;
    return Math.floor(next / this._phases);
  }
}
