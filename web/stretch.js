/** Faster or slower speech at the same pitch: WSOLA (Verhelst and Roelands, 1993). Pure. */

const HOP_MS = 10;
const SEARCH_MS = 8;
const STEP = 4; // of the search: every fourth sample says enough

/** Takes the samples of one stream in order and gives out others, of which `1 / speed` times as many. */
export class Stretcher {
  constructor(rate, speed) {
    this._perMs = rate / 1000;
    this._speed = speed;
    this._hop = Math.round(HOP_MS * this._perMs);
    this._search = Math.round(SEARCH_MS * this._perMs);
    this._held = new Float32Array(0);
    this._ms = 0; // time of the first sample held
    this._at = 0; // the sample that would follow the last one given out
    this._next = 0; // the sample that should follow, by the speed
  }

  /** `ms`: time of the first sample. Comes to `{samples, ms}` as far as they are certain. */
  push(samples, ms) {
    if (!this._held.length) this._ms = ms;
    const held = new Float32Array(this._held.length + samples.length);
    held.set(this._held);
    held.set(samples, this._held.length);
    this._held = held;
    const begun = this._ms + this._at / this._perMs;
    const pieces = [];
    while (Math.max(this._at, Math.round(this._next) + this._search) + this._hop <= held.length) pieces.push(this._piece());
    this._drop();
    return { samples: joined(pieces, this._hop), ms: begun };
  }

  /** The rest at the end, as it is. */
  finish() {
    const rest = { samples: this._held.slice(this._at), ms: this._ms + this._at / this._perMs };
    this._held = new Float32Array(0);
    this._at = this._next = 0;
    return rest;
  }

  /** Fades from what would follow to the place near the wanted one that is most like it. */
  _piece() {
    const from = this._mostLike(Math.round(this._next));
    const piece = new Float32Array(this._hop);
    for (let i = 0; i < this._hop; i += 1) {
      const share = i / this._hop;
      piece[i] = this._held[this._at + i] * (1 - share) + this._held[from + i] * share;
    }
    this._at = from + this._hop;
    this._next += this._hop * this._speed;
    return piece;
  }

  _mostLike(wanted) {
    let best = wanted;
    let most = -Infinity;
    for (let from = Math.max(0, wanted - this._search); from <= wanted + this._search; from += STEP) {
      let likeness = 0;
      let power = 1e-9;
      for (let i = 0; i < this._hop; i += STEP) {
        likeness += this._held[this._at + i] * this._held[from + i];
        power += this._held[from + i] ** 2;
      }
      const found = likeness / Math.sqrt(power);
      if (found > most) [best, most] = [from, found];
    }
    return best;
  }

  _drop() {
    const gone = Math.max(0, Math.min(this._at, Math.round(this._next) - this._search));
    this._held = this._held.slice(gone);
    this._ms += gone / this._perMs;
    this._at -= gone;
    this._next -= gone;
  }
}

function joined(pieces, length) {
  const all = new Float32Array(pieces.length * length);
  pieces.forEach((piece, number) => all.set(piece, number * length));
  return all;
}
