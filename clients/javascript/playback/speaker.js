/** Sound of a session's turns on the loudspeaker of a browser, one turn after another, with how much of it was heard. */

import { bestCodec, makeDecoder } from "./decoder.js";
import { AudioGraph } from "./graph.js";

const AHEAD_MS = 3_000; // decoded and waiting in the audio thread

/**
 * @typedef {{onHeard?: (turn: number, ms: number, sounding: boolean) => void,
 *   onEnded?: (turn: number, ms: number, underruns: number) => void, onFailed?: (error: Error) => void}} Handlers
 */

export class Speaker {
  /**
   * Must be called from a gesture. `onHeard(turn, ms, sounding)` some fifty times a second while a turn is played;
   * `onEnded(turn, ms, underruns)` when it was dropped, or after its last sample; `onFailed(error)` when the sound
   * cannot be decoded.
   *
   * `connection` leads to the server, which has the audio thread's module: in a bundle it would not be found.
   *
   * @param {import("../connection.js").Connection} connection @param {Handlers} [handlers]
   */
  static async open(connection, handlers = {}) {
    const speaker = new Speaker(await bestCodec(), handlers);
    speaker._graph = await AudioGraph.open({
      rate: speaker._decoder.rate,
      onReport: (report) => speaker._report(report),
      onState() {},
      worklet: connection.address("web/client/playback/playout-worklet.js"),
    });
    await speaker._graph.resume();
    return speaker;
  }

  /**
   * @param {"opus" | "pcm16"} codec
   * @param {Handlers} handlers
   */
  constructor(codec, { onHeard = () => {}, onEnded = () => {}, onFailed = () => {} }) {
    this.codec = codec;
    this._graph = null;
    this.turn = null; // that is played
    this._onHeard = onHeard;
    this._onEnded = onEnded;
    this._onFailed = onFailed;
    this._decoder = makeDecoder(codec, {
      onSamples: (samples, ms) => this._graph.push(samples, ms, this._epoch, 1),
      onFinished: () => this._graph.order("finish", this._epoch),
      onError: (error) => this._failed(error),
    });
    this._queue = []; // {turn, data, audio}, or {turn} after the last of a turn
    this._waiting = [];
    this._epoch = 0;
    this._heldMs = 0; // in the queue
    this._givenMs = 0;
    this._playedMs = 0;
    this._placeMs = 0;
    this._underruns = 0;
    this._underrunsBefore = 0;
    this._finished = false;
    this._failure = null;
  }

  /** The sound of an `audio.chunk` event; of a session's turns, each follows the one before. */
  push({ turn, data, audio }) {
    this._queue.push({ turn, data, audio });
    this._heldMs += data.ms;
    this._pump();
  }

  /** Nothing more of a turn will be pushed. */
  end(turn) {
    this._queue.push({ turn, data: null, audio: null });
    this._pump();
  }

  /** Falls silent softly, and drops what is there of a turn. */
  drop(turn) {
    this._queue = this._queue.filter((one) => one.turn !== turn);
    this._heldMs = this._queue.reduce((sum, { data }) => sum + (data?.ms ?? 0), 0);
    if (this.turn === turn) {
      const heardMs = this._placeMs;
      this._decoder.reset();
      this._leave();
      this._onEnded(turn, heardMs, this._underruns - this._underrunsBefore);
    }
    this._pump();
  }

  pause() {
    this._graph.order("hold");
  }

  resume() {
    this._graph.order("release");
  }

  /** Resolves when no more than `ms` wait to be played; 0: when all was heard. Rejects when the sound cannot be decoded. */
  async room(ms) {
    while (this._failure === null && (this._heldMs > ms || (ms === 0 && (this.turn !== null || this._queue.length > 0)))) {
      await new Promise((resolve) => this._waiting.push(resolve));
    }
    if (this._failure !== null) throw this._failure;
  }

  close() {
    this._queue = [];
    this._failure ??= new DOMException("The loudspeaker was closed.", "AbortError");
    this._wake();
    this._decoder.close();
    this._graph.close();
  }

  _pump() {
    while (this._queue.length > 0 && !this._finished) {
      const [{ turn, data, audio }] = this._queue;
      if (turn !== this.turn && this.turn !== null) break;
      if (this.turn === null) this._underrunsBefore = this._underruns;
      this.turn = turn;
      if (this._givenMs - this._playedMs > AHEAD_MS) break;
      this._queue.shift();
      if (data === null) {
        this._finished = true;
        void this._decoder.finish();
      } else {
        this._heldMs -= data.ms;
        this._givenMs += data.ms;
        this._decoder.decode(data, audio);
      }
    }
    this._wake();
  }

  _report({ epoch, played, underruns, positionMs, flowing, done }) {
    this._underruns = underruns;
    if (epoch !== this._epoch || this.turn === null) return;
    const { turn } = this;
    this._playedMs = (played * 1000) / this._decoder.rate;
    if (positionMs !== null) this._placeMs = Math.max(0, positionMs - this._graph.latencyMs);
    if (done) {
      this._leave();
      this._onEnded(turn, positionMs ?? 0, underruns - this._underrunsBefore);
    } else if (positionMs !== null) {
      this._onHeard(turn, this._placeMs, flowing);
    }
    this._pump();
  }

  /** The turn is over: what is pushed from now on belongs to the next one. */
  _leave() {
    this.turn = null;
    this._finished = false;
    this._givenMs = 0;
    this._playedMs = 0;
    this._placeMs = 0;
    this._epoch += 1;
    this._graph.order("clear", this._epoch);
  }

  _failed(error) {
    this._failure = error;
    this._wake();
    this._onFailed(error);
  }

  _wake() {
    for (const resolve of this._waiting.splice(0)) resolve(undefined);
  }
}
