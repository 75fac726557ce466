/** Sound to the server, and the events that come out of it. */

import { errorOf, read } from "../event-queue.js";
import { AudioInput } from "./audio-input.js";

const AHEAD_MS = 20_000; // of the acknowledgements: a file is not read faster than that
const PIECE_MS = 1_000; // what is given in one, such as a whole file, is sent in pieces of that

/**
 * See `Session.listen`.
 *
 * @param {AsyncIterable<Uint8Array | Int16Array>} sound
 * @param {{connection: import("../connection.js").Connection, path: string, query: Record<string, string>, rate: number, patienceMs: number, signal?: AbortSignal}} options
 * @returns {AsyncGenerator<any, void, void>}
 */
export async function* listen(sound, options) {
  const pieces = sound[Symbol.asyncIterator]();
  /** @type {AudioInput} */
  let input;
  const events = read(({ onEvent, onEnd }) => {
    input = new AudioInput({
      ...options,
      onEvent,
      onState: (state, refusal) => state === "over" && onEnd(refusal ? errorOf(refusal) : null),
    });
    input.open(options.path);
    send(pieces, input, options.rate).catch(onEnd);
    return {
      open: () => input.goOn(),
      close: () => input.hold(),
      get reading() {
        return input.reading;
      },
    };
  }, options.signal);
  try {
    yield* events;
  } finally {
    input?.abandon();
    void pieces.return?.();
  }
}

/** @param {AsyncIterator<Uint8Array | Int16Array>} pieces @param {AudioInput} input @param {number} rate */
async function send(pieces, input, rate) {
  const samples = new Samples();
  const piece = (rate * PIECE_MS) / 1000;
  while (input.state !== "over") {
    const { done, value } = await pieces.next();
    if (done) {
      input.close();
      return;
    }
    const pcm = samples.of(value);
    for (let at = 0; at < pcm.length; at += piece) {
      input.send(pcm.subarray(at, at + piece));
      await input.room(AHEAD_MS);
    }
  }
}

/** Bytes, wherever they are cut, as whole samples. */
class Samples {
  constructor() {
    this._odd = new Uint8Array(0);
  }

  /** @param {Uint8Array | Int16Array} piece */
  of(piece) {
    if (piece instanceof Int16Array) return piece;
    const bytes = new Uint8Array(this._odd.length + piece.length);
    bytes.set(this._odd);
    bytes.set(piece, this._odd.length);
    const whole = bytes.length & ~1;
    this._odd = bytes.slice(whole);
    return new Int16Array(bytes.buffer, 0, whole / 2);
  }
}
