/** Where a reader of the log stands, and how long it waits before it tries again. Pure. */

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 10_000;

/** "I have handled everything up to and including `seq`." */
export class Cursor {
  constructor(generation = null, seq = 0) {
    this.generation = generation;
    this.seq = seq;
  }

  /** "next": handle it. "old": seen before. "gap": facts are missing; ask again from here. */
  judge(seq) {
    if (seq <= this.seq) return "old";
    return seq === this.seq + 1 ? "next" : "gap";
  }

  toString() {
    return this.generation ? `${this.generation}-${this.seq}` : String(this.seq);
  }
}

/** Doubles with every failure, up to a limit; `random` in [0, 1) spreads a crowd of clients. */
export function retryDelayMs(failures, random) {
  const full = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
  return full * (0.5 + 0.5 * random);
}
