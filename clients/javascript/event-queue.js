/** Events of a socket as an asynchronous generator: a reader that is slow makes the socket wait, and nothing pile up. */

import { ApiError } from "./connection.js";

const MOST_EVENTS = 1_000;
const MOST_BYTES = 4_000_000;
const SHARE = 0.5; // of both: with less than that waiting, more is read

/** The error of a socket's last state, "refused". @param {{code: string, message: string, field?: string | null, retryable?: boolean}} state */
export function errorOf({ code, message, field = null, retryable = false }) {
  return new ApiError({ detail: message, code, field, retryable });
}

/**
 * `start({onEvent, onEnd})` begins to read and returns what `open`s and `close`s; `onEnd(error)` is the last call, with
 * null where all was read. An abort of `signal` ends the reading with its reason, as it does for fetch.
 *
 * @template Event
 * @param {(handlers: {onEvent: (event: any, audio: Uint8Array | null) => void, onEnd: (error: unknown) => void}) =>
 *   {open: () => void, close: () => void, reading: boolean}} start
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<Event, void, void>}
 */
export async function* read(start, signal) {
  signal?.throwIfAborted();
  /** @type {any[]} */
  let waiting = [];
  let at = 0;
  let bytes = 0;
  let over = false;
  /** @type {unknown} */
  let failure = null;
  let wake = () => {};
  const onEnd = (error) => {
    over = true;
    failure = error;
    wake();
  };
  const abort = () => {
    waiting = [];
    at = 0;
    source.close();
    onEnd(signal.reason);
  };
  const source = start({
    onEvent(event, audio) {
      waiting.push({ ...event, audio });
      bytes += audio?.length ?? 0;
      if (waiting.length - at > MOST_EVENTS || bytes > MOST_BYTES) source.close(); // the cursor stays
      wake();
    },
    onEnd,
  });
  signal?.addEventListener("abort", abort);
  try {
    for (;;) {
      if (at < waiting.length) {
        const event = waiting[at];
        at += 1;
        bytes -= event.audio?.length ?? 0;
        if (at === waiting.length) {
          waiting = [];
          at = 0;
        }
        const little = waiting.length - at < MOST_EVENTS * SHARE && bytes < MOST_BYTES * SHARE;
        if (little && !over && !source.reading) source.open();
        yield event;
      } else if (over) {
        if (failure !== null) throw failure;
        return;
      } else {
        await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    source.close();
  }
}
