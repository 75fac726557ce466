/** A browser's microphone as a source of sound. */

import { Capture } from "./capture.js";

const MOST_FRAMES = 1_000; // 32 s of sound that nobody has taken: the oldest is dropped

/**
 * Frames of 16-bit sound at 16 kHz for `Session.listen`, until `return` is called, as leaving a loop does, or the
 * microphone is unplugged. Call it from a gesture; rejects with a DOMException when there is none to be had. `worklet`:
 * the address of capture-worklet.js where this module lies elsewhere, as in a bundle.
 *
 * @param {{worklet?: URL}} [options]
 * @returns {Promise<AsyncIterableIterator<Int16Array>>}
 */
export async function microphone({ worklet } = {}) {
  /** @type {Int16Array[]} */
  const frames = [];
  let open = true;
  let wake = () => {};
  const end = () => {
    open = false;
    wake();
  };
  const capture = await Capture.open({
    onFrame: (pcm) => {
      frames.push(pcm);
      if (frames.length > MOST_FRAMES) frames.shift();
      wake();
    },
    onLost: end,
    worklet,
  });
  const pieces = {
    [Symbol.asyncIterator]: () => pieces,
    async next() {
      while (open && frames.length === 0) await new Promise((resolve) => (wake = () => resolve(undefined)));
      const value = frames.shift();
      return { done: !value, value };
    },
    async return() {
      capture.close();
      end();
      return { done: true, value: undefined };
    },
  };
  return pieces;
}
