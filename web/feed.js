/** The sound of one turn, read from the log as far ahead as is sensible and no further. */

import { EventSocket } from "./client/event-socket.js";
import { connection } from "./connection.js";
import { STATUS_OF } from "./story.js";

const ENOUGH_MS = 90_000;
const LITTLE_MS = 30_000;

/** Chunks `{fact, audio}` in order. When enough are held it stops reading; the cursor remembers where. */
export class Feed {
  constructor({ url, codec, cursor, turn, onMore }) {
    this.ended = false; // the log has no more sound of this turn than what was read
    this._turn = turn;
    this._onMore = onMore;
    this._chunks = [];
    this._heldMs = 0;
    this._wire = new EventSocket({
      connection,
      path: url,
      query: { audio: codec },
      cursor,
      onEvent: (fact, audio) => this._take(fact, audio),
      onState: ({ state }) => {
        if (state === "ended" || state === "refused") this._end();
      },
    });
    this._wire.open();
  }

  /** The next chunk, or null if it isn't there yet (or, when `ended`, never will be). */
  shift() {
    const chunk = this._chunks.shift() ?? null;
    if (chunk) this._heldMs -= chunk.fact.data.ms;
    if (this._heldMs < LITTLE_MS && !this.ended) this._wire.open();
    return chunk;
  }

  /** Give back what was taken, oldest first. */
  unshift(chunks) {
    this._chunks.unshift(...chunks);
    for (const { fact } of chunks) this._heldMs += fact.data.ms;
  }

  close() {
    this._wire.close();
    this._chunks = [];
  }

  _take(fact, audio) {
    if (fact.turn !== this._turn) return;
    if (Object.hasOwn(STATUS_OF, fact.type)) {
      this._end();
    } else if (fact.type === "audio.chunk" && audio) {
      this._chunks.push({ fact, audio });
      this._heldMs += fact.data.ms;
      if (this._heldMs > ENOUGH_MS) this._wire.close();
      this._onMore();
    }
  }

  _end() {
    this.ended = true;
    this._wire.close();
    this._onMore();
  }
}
