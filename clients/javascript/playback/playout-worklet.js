/** The audio thread's end: renders a `Playout` and says, some fifty times a second, how far it is. */

import { Playout } from "./playout.js";

const QUANTA_PER_REPORT = 8;

class PlayoutProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this._playout = new Playout(sampleRate);
    this._quanta = 0;
    this.port.onmessage = ({ data }) => this._obey(data);
  }

  _obey({ order, samples, ms, epoch, speed }) {
    const playout = this._playout;
    if (order === "push") playout.push(samples, ms, epoch, speed);
    else if (order === "finish") playout.finish(epoch);
    else if (order === "clear") playout.clear(epoch);
    else if (order === "hold") playout.hold();
    else if (order === "release") playout.release();
  }

  process(_inputs, [[out]]) {
    this._playout.render(out);
    this._quanta += 1;
    if (this._quanta % QUANTA_PER_REPORT === 0) this._report();
    return true;
  }

  _report() {
    const { epoch, played, playedEver, underruns, positionMs, flowing, done } = this._playout;
    this.port.postMessage({ epoch, played, playedEver, underruns, positionMs, flowing, done });
  }
}

registerProcessor("rhapsode-playout", PlayoutProcessor);
