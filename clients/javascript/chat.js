/** A session as a chat: its messages, folded from its events, and a voice. What a user interface needs, and no more. */

import { ApiError } from "./connection.js";
import { emptyChat, fold } from "./messages.js";
import { VoiceConversation } from "./voice.js";

const AGAIN_MS = 1_000; // after a server was given up that may come back

/**
 * @typedef {import("./messages.js").Message} Message
 * @typedef {{messages: Message[], status: "ready" | "submitted" | "streaming" | "error", error: Error | null,
 *   voice: import("./voice.js").VoiceState, session: string | null}} Snapshot
 * `status` is "submitted" until an asked turn has text.
 */

export class Chat {
  /**
   * `session`: the id of one that is there; without it the first prompt or word makes one, with `settings`.
   *
   * @param {{client: import("./client.js").Rhapsode, session?: string | null, settings?: Record<string, unknown>}} options
   */
  constructor({ client, session = null, settings = {} }) {
    this._client = client;
    this._settings = settings;
    this._listeners = new Set();
    this._reading = null;
    this._lost = null; // why reading ended last
    this._making = null;
    this._folded = emptyChat();
    this._asking = 0; // requests without an answer
    this._until = 0; // the last turn that was asked for here
    /** @type {Snapshot} */
    this._snapshot = { messages: [], status: "ready", error: null, voice: "off", session };
    this._voice = new VoiceConversation({
      connection: client.connection,
      session: () => this._begin(),
      onState: (voice) => this._change({ voice }),
      onTrouble: (error) => this._change({ error }),
    });
    this.snapshot = () => this._snapshot;
  }

  /** Tells of each new snapshot, and reads events while anybody listens. Returns a function that ends it. @param {() => void} listener */
  subscribe(listener) {
    this._listeners.add(listener);
    if (this._snapshot.session) this._follow(this._client.session(this._snapshot.session));
    return () => {
      this._listeners.delete(listener);
      if (this._listeners.size > 0) return;
      this._reading?.abort();
      this._reading = null;
      this._voice.stop();
    };
  }

  /** Asks the language model. @param {string} prompt @param {Record<string, unknown>} [settings] */
  ask(prompt, settings) {
    return this._submit((session) => session.ask(prompt, settings));
  }

  /** Has a text read out. @param {string} text @param {Record<string, unknown>} [settings] */
  say(text, settings) {
    return this._submit((session) => session.say(text, settings));
  }

  /** Stops the running answer. */
  async stop() {
    if (this._snapshot.session) await this._client.session(this._snapshot.session).stop();
  }

  /** Must be called from a gesture. */
  startVoice() {
    return this._voice.start();
  }

  stopVoice() {
    this._voice.stop();
  }

  async _submit(request) {
    this._asking += 1;
    this._settle({ error: null });
    try {
      const { number } = await request(await this._begin());
      this._until = Math.max(this._until, number);
    } catch (error) {
      this._change({ error: /** @type {Error} */ (error) });
    }
    this._asking -= 1;
    this._settle();
  }

  /** The session; two that ask for it at once get the same. */
  async _begin() {
    if (this._snapshot.session) return this._client.session(this._snapshot.session);
    this._making ??= this._client.create(this._settings).finally(() => (this._making = null));
    const session = await this._making;
    if (this._snapshot.session === null) this._change({ session: session.id });
    if (this._listeners.size > 0) this._follow(session);
    return session;
  }

  /** Where reading stopped before, it goes on; a server that cannot be reached is told, and asked again. */
  async _follow(session) {
    if (this._reading) return;
    const reading = new AbortController();
    this._reading = reading;
    while (await this._read(session, reading.signal)) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (this._reading === reading) this._reading = null;
  }

  /** Resolves to whether reading may go on later. @returns {Promise<boolean>} */
  async _read(session, signal) {
    try {
      for await (const event of session.events(this._folded.seq, { signal })) this._take(event);
      return false;
    } catch (error) {
      if (signal.aborted) return false;
      this._lost = /** @type {Error} */ (error);
      this._settle({ error: this._lost });
      return error instanceof ApiError && error.retryable;
    }
  }

  _take(event) {
    this._folded = fold(this._folded, event);
    const { messages } = this._folded;
    this._settle(this._snapshot.error === this._lost ? { messages, error: null } : { messages });
  }

  /** @param {Partial<Snapshot>} [changes] */
  _settle(changes = {}) {
    this._change({ ...changes, status: this._status("error" in changes ? changes.error : this._snapshot.error) });
  }

  /** @returns {Snapshot["status"]} */
  _status(error) {
    const { messages, running, seq } = this._folded;
    if (messages.some((one) => running.includes(one.turn) && one.role === "assistant" && one.text)) return "streaming";
    if (running.length > 0 || this._asking > 0) return "submitted";
    if (error) return "error";
    return seq < this._until ? "submitted" : "ready";
  }

  /** @param {Partial<Snapshot>} changes */
  _change(changes) {
    this._snapshot = { ...this._snapshot, ...changes };
    for (const listener of this._listeners) listener();
  }
}
