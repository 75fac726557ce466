/** Tells the server how much of each turn has come out of this loudspeaker: not too often, but at every stop. Pure. */

const EVERY_MS = 1_000;

/** `tell(message)` says whether it could be said; what could not is said as soon as it can. */
export class Ledger {
  constructor({ tell, nowMs = () => performance.now() }) {
    this._tell = tell;
    this._nowMs = nowMs;
    this._saidAt = -Infinity;
    this._said = { turn: null, ms: 0 };
    this._closed = null; // the turn about which there was a last word
    this._owed = null; // how a turn ended that nobody could be told of
    this._sounding = false;
  }

  /** Some fifty times a second. A voice that falls silent is worth a word at once. */
  progress(turn, ms, sounding) {
    const silenced = this._sounding && !sounding;
    this._sounding = sounding;
    if (silenced || this._nowMs() - this._saidAt >= EVERY_MS) this.now(turn, ms);
  }

  /** The turn is left, or over: there will be no other word about it. Nothing of it was heard: not even one. */
  last(turn, ms, underruns) {
    this._sounding = false;
    if (this._owed && this._tell(this._owed)) this._owed = null;
    const heard = Math.max(0, Math.round(ms));
    if (heard === 0 || turn === this._closed) return;
    const message = { type: "playback.ack", turn, heard_ms: heard, underruns, ended: true, ref: "heard" };
    this._closed = turn;
    this._said = { turn, ms: heard };
    if (!this._tell(message)) this._owed = message;
  }

  now(turn, ms) {
    const heard = Math.max(0, Math.round(ms));
    if (this._owed && this._tell(this._owed)) this._owed = null;
    if (heard === 0 || (turn === this._said.turn && heard <= this._said.ms)) return;
    this._closed = null;
    this._saidAt = this._nowMs();
    if (this._tell({ type: "playback.ack", turn, heard_ms: heard, ref: "heard" })) this._said = { turn, ms: heard };
  }
}
