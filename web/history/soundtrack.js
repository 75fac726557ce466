/** The sound of a session that is told again as it was: each turn's begins when it began then. */

export class Soundtrack {
  constructor(hearing, reel) {
    this._hearing = hearing;
    this._reel = reel;
    this._begun = new Set();
    this._waiting = [];
    this._over = false;
  }

  take({ type, turn }) {
    if (this._over) return;
    if (type === "audio.chunk" && !this._begun.has(turn)) this._begin(turn);
    else if (type === "playback.paused" && this._hearing.heard && !this._hearing.paused) this._hearing.togglePause();
    else if (type === "playback.resumed" && this._hearing.paused) this._hearing.togglePause();
    else if (type === "turn.stopped" && this._hearing.heard?.turn === turn) this._hearing.stopReplay();
    else this.next();
  }

  /** The turn before has been heard. */
  next() {
    if (this._over || !this._hearing.ready || this._hearing.heard) return;
    const turn = this._waiting.shift();
    if (turn !== undefined) this._hearing.replay(turn, { of: this._reel });
  }

  end() {
    this._over = true;
  }

  _begin(turn) {
    this._begun.add(turn);
    this._waiting.push(turn);
    this.next();
  }
}
