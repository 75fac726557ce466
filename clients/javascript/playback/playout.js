/** What the audio thread does, without the audio thread: blocks of samples in, a steady stream out. Pure. */

const FADE_MS = 20;
const START_MS = 60;
const REFILL_MS = 240;

/**
 * Plays blocks in order, each sample once. Holding, releasing and clearing fade, so nothing clicks.
 *
 * An underrun is the queue running dry although more was promised; then `REFILL_MS` must gather before
 * it goes on, so that a slow source makes one pause and not a stutter.
 */
export class Playout {
  constructor(rate) {
    this.epoch = 0; // counts clears, so that a report can be told from one of an earlier life
    this.played = 0; // samples, in this epoch
    this.playedEver = 0;
    this.underruns = 0;
    this.positionMs = null; // of the next sample; null until this epoch has begun to sound
    this.flowing = false;
    this._rate = rate;
    this._step = 1000 / (FADE_MS * rate);
    this._gain = 0;
    this._held = false;
    this._clearing = false;
    this._restart();
  }

  _restart() {
    this._queue = [];
    this._offset = 0;
    this._queued = 0;
    this._finished = false;
    this._neededMs = START_MS;
    this.flowing = false;
    this.done = false;
  }

  /**
   * `ms` is the time of the first sample in the turn's audio, of which `speed` ms go by in one. Blocks of another
   * epoch are dropped.
   */
  push(samples, ms, epoch, speed = 1) {
    if (epoch !== this.epoch) return;
    if (this._clearing) {
      this._after.push({ samples, ms, speed });
      return;
    }
    this._queue.push({ samples, ms, speed });
    this._queued += samples.length;
  }

  /** Nothing more will be pushed in this epoch: running dry is the end, no underrun. */
  finish(epoch) {
    if (epoch !== this.epoch) return;
    if (this._clearing) this._finishAfter = true;
    else this._finished = true;
  }

  hold() {
    this._held = true;
  }

  release() {
    this._held = false;
  }

  /** Fade out and forget what is queued; what is pushed from now on, under `epoch`, plays after that. */
  clear(epoch) {
    this.epoch = epoch;
    this.played = 0;
    this.positionMs = null;
    this.done = false;
    this._clearing = true;
    this._after = [];
    this._finishAfter = false;
  }

  render(out) {
    for (let i = 0; i < out.length; i += 1) out[i] = this._sample();
  }

  get queuedMs() {
    return ((this._queued - this._offset) / this._rate) * 1000;
  }

  _sample() {
    const loud = !this._held && !this._clearing;
    if (!loud && (this._gain === 0 || !this.flowing)) {
      if (this._clearing) this._cleared();
      return 0;
    }
    if (!this.flowing && !this._mayStart()) return 0;
    this._gain = Math.max(0, Math.min(1, this._gain + (loud ? this._step : -this._step)));
    return this._gain * this._take();
  }

  _mayStart() {
    if (this._queue.length === 0) {
      this.done = this._finished;
      return false;
    }
    this.flowing = this._finished || this.queuedMs >= this._neededMs;
    return this.flowing;
  }

  _take() {
    const block = this._queue[0];
    const sample = block.samples[this._offset];
    this._offset += 1;
    this.playedEver += 1;
    if (!this._clearing) {
      this.played += 1;
      this.positionMs = block.ms + (this._offset / this._rate) * 1000 * block.speed;
    }
    if (this._offset === block.samples.length) this._nextBlock();
    return sample;
  }

  _nextBlock() {
    this._queued -= this._queue.shift().samples.length;
    this._offset = 0;
    if (this._queue.length > 0) return;
    this.flowing = false;
    this._gain = 0;
    if (this._finished) {
      this.done = true;
    } else if (!this._clearing) {
      this.underruns += 1;
      this._neededMs = REFILL_MS;
    }
  }

  _cleared() {
    const blocks = this._after;
    this._restart();
    this._clearing = false;
    this._gain = 0;
    for (const { samples, ms, speed } of blocks) this.push(samples, ms, this.epoch, speed);
    this._finished = this._finishAfter;
  }
}
