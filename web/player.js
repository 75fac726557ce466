/** Plays the sound of one turn at a time: feed -> decoder -> audio graph, and knows how much was heard. */

import { loudness } from "./client/loudness.js";
import { bestCodec, makeDecoder } from "./client/playback/decoder.js";
import { AudioGraph } from "./client/playback/graph.js";
import { Feed } from "./feed.js";
import { Stretcher } from "./stretch.js";

const AHEAD_MS = 3_000; // decoded and waiting in the audio thread

/**
 * `onProgress()` some fifty times a second while something is loaded, `onEnded(turn, ms)` when the last
 * sample of a turn has been played; it was heard up to `ms`; `onState()` when the graph's state changes, `onError(error)`.
 */
export class Player {
  static async open({ onProgress, onEnded, onState, onError }) {
    const codec = await bestCodec();
    const player = new Player(codec, onProgress, onEnded);
    player._decoder = makeDecoder(codec, {
      onSamples: (samples, ms) => player._decoded(samples, ms),
      onFinished: () => player._whole(),
      onError,
    });
    const rate = player._decoder.rate;
    player._graph = await AudioGraph.open({ rate, onReport: (report) => player._heard(report), onState });
    return player;
  }

  constructor(codec, onProgress, onEnded) {
    this.codec = codec;
    this.turn = null;
    this.positionMs = 0;
    this.paused = false;
    this.speed = 1;
    this._stretcher = null;
    this.sounding = false;
    this.samplesPlayed = 0;
    this.underruns = 0;
    this._underrunsBefore = 0;
    this._onProgress = onProgress;
    this._onEnded = onEnded;
    this._feed = null;
    this._epoch = 0;
  }

  get graph() {
    return this._graph;
  }

  /** Loudness for the eye, from 0 to 1. */
  get level() {
    return this.sounding ? loudness(this._graph.rms()) : 0;
  }

  /** The listener's place, a little behind the sound that was given to the loudspeaker. */
  get placeMs() {
    return Math.max(0, this.positionMs - this._graph.latencyMs);
  }

  /** The end of the turn's sound that came out of the loudspeaker: a place that was gone to counts once it has sounded. */
  get heardMs() {
    return this.placeMs > this._fromMs ? this.placeMs : this._heardBeforeMs;
  }

  /** The turn has begun to sound, and what comes next is not here yet. */
  get buffering() {
    return this.turn !== null && !this.paused && !this.sounding && this.positionMs > this._fromMs;
  }

  /** Number of times that this turn's sound ran out in the middle. */
  get underrunsOfTurn() {
    return this.underruns - this._underrunsBefore;
  }

  /** Start `turn` at `fromMs`, reading at `cursor`, which must lie before the sentence heard then. */
  play({ turn, fromMs, url, cursor }) {
    this.stop();
    this.turn = turn;
    this._underrunsBefore = this.underruns;
    this._skipped = new Set();
    this._feed = new Feed({ url, codec: this.codec, cursor, turn, onMore: () => this._pump() });
    this._begin(fromMs, 0);
  }

  /** Fall silent, softly, and forget the turn. */
  stop() {
    this._feed?.close();
    this._feed = null;
    this.turn = null;
    this.sounding = false;
    this._begin(0, 0); // before the release, or a held sentence would be heard again for a moment
    this.resume();
  }

  pause() {
    this.paused = true;
    this._graph.order("hold");
  }

  resume() {
    this.paused = false;
    this._graph.order("release");
  }

  /** Leave out what is left of a sentence, whether it is being heard now or later. */
  skip(sentence) {
    if (this.turn === null) return;
    this._skipped.add(sentence);
    if (this._unheard.some(({ fact }) => fact.data.sentence === sentence)) this.seek(this.positionMs);
  }

  /** From what is heard next on, at the same pitch. */
  setSpeed(speed) {
    if (speed === this.speed) return;
    this.speed = speed;
    if (this.turn !== null) this.seek(this.positionMs);
  }

  /** Go on at `ms`, which lies ahead (or is where we are). */
  seek(ms) {
    this._feed.unshift(this._unheard);
    this._begin(ms, this.heardMs);
    this._pump();
  }

  /** Everything before `fromMs` is decoded, for the decoder's sake, but not played. */
  _begin(fromMs, heardBeforeMs) {
    this._epoch += 1;
    this._fromMs = fromMs;
    this._heardBeforeMs = heardBeforeMs;
    this.positionMs = fromMs;
    this._unheard = []; // chunks handed to the decoder and not yet played to their end
    this._givenMs = 0;
    this._cutMs = 0;
    this._playedMs = 0;
    this._finished = false;
    this._stretcher = this.speed === 1 ? null : new Stretcher(this._decoder.rate, this.speed);
    this._decoder.reset();
    this._graph.order("clear", this._epoch);
  }

  _pump() {
    while (this._feed && !this._finished && this._givenMs - this._cutMs - this._playedMs < AHEAD_MS) {
      const chunk = this._feed.shift();
      if (chunk) this._give(chunk);
      else if (this._feed.ended) this._finish();
      else return;
    }
  }

  _give(chunk) {
    if (this._skipped.has(chunk.fact.data.sentence)) return;
    this._unheard.push(chunk);
    this._givenMs += chunk.fact.data.ms;
    this._decoder.decode(chunk.fact.data, chunk.audio);
  }

  _finish() {
    this._finished = true;
    this._decoder.finish();
  }

  _decoded(samples, ms) {
    const early = Math.round(((this._fromMs - ms) * this._decoder.rate) / 1000);
    const cut = Math.max(0, Math.min(samples.length, early));
    this._cutMs += (cut * 1000) / this._decoder.rate;
    if (cut === samples.length) this._pump();
    else this._push({ samples: samples.slice(cut), ms: Math.max(ms, this._fromMs) });
  }

  _push(block) {
    const { samples, ms } = this._stretcher ? this._stretcher.push(block.samples, block.ms) : block;
    if (samples.length) this._graph.push(samples, ms, this._epoch, this.speed);
  }

  /** The decoder has given all that it had. */
  _whole() {
    const rest = this._stretcher?.finish();
    if (rest?.samples.length) this._graph.push(rest.samples, rest.ms, this._epoch, 1);
    this._graph.order("finish", this._epoch);
  }

  _heard({ epoch, played, playedEver, underruns, positionMs, flowing, done }) {
    this.samplesPlayed = playedEver;
    this.underruns = underruns;
    if (epoch !== this._epoch || this.turn === null) return;
    this.sounding = flowing && !this.paused;
    this._playedMs = (played * 1000 * this.speed) / this._decoder.rate;
    if (positionMs !== null) this._advance(positionMs);
    this._onProgress();
    if (done) this._ended();
  }

  _advance(positionMs) {
    this.positionMs = positionMs;
    const kept = this._unheard.findIndex(({ fact }) => fact.data.at_ms + fact.data.ms > positionMs);
    this._unheard.splice(0, kept < 0 ? this._unheard.length : kept);
    this._pump();
  }

  _ended() {
    const { turn } = this;
    const heardMs = this.positionMs > this._fromMs ? this.positionMs : this._heardBeforeMs;
    this.stop();
    this._onEnded(turn, heardMs);
  }
}
