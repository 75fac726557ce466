/** The place of a reader in a session's log, and the pause before it tries again. Pure. */

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/** Everything up to and including `seq` is handled; null: the reader begins where the log ends when it first connects. */
export class Cursor {
  /** @param {string | null} [generation] @param {number | null} [seq] */
  constructor(generation = null, seq = 0) {
    this.generation = generation;
    this.seq = seq;
  }

  /** A sequence number, a cursor as the server writes it, or "head". @param {number | string} place */
  static at(place) {
    if (place === "head") return new Cursor(null, null);
    const [, generation, seq] = /^(?:(.+)-)?(\d+)$/.exec(String(place)) ?? [];
    if (seq === undefined) throw new RangeError(`${place} is no cursor: a sequence number, the id of an event, or "head"`);
    return new Cursor(generation ?? null, Number(seq));
  }

  /** Takes what the server says first on each connection. @param {{generation: string, from_seq: number}} hello */
  begin({ generation, from_seq: from }) {
    this.generation = generation;
    this.seq ??= from;
  }

  /** "next": handle it. "old": seen before. "gap": events are missing; ask again from here. @param {number} seq */
  judge(seq) {
    if (seq <= this.seq) return "old";
    return seq === this.seq + 1 ? "next" : "gap";
  }

  toString() {
    if (this.seq === null) return "head";
    return this.generation ? `${this.generation}-${this.seq}` : String(this.seq);
  }
}

/** Doubles with every failure, up to a limit; `random` in [0, 1) spreads a crowd of clients. @param {number} failures @param {number} random */
export function retryDelayMs(failures, random) {
  const full = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
  return full * (0.5 + 0.5 * random);
}
