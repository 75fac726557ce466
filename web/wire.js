/** One reader of a session's log over a WebSocket: every fact once, in order, whatever the network does. */

import { openSocket } from "./credentials.js";
import { Cursor, retryDelayMs } from "./cursor.js";
import { parseFrame } from "./frames.js";
import { renewed } from "./staying.js";

const SILENCE_MS = 40_000; // the server says something every 15 s
const CONNECT_MS = 10_000;
const UNKNOWN = 4401; // the token is not good any more
const REFUSALS = new Set([4400, 4401, 4403, 4404, 4409, 4410, 4422]);

/**
 * Calls, in this order per fact: `onFact(fact, audio)`; `audio` is null unless the fact carries some.
 * `onHello(hello)` on every connection, from then on `send` works; `onAnswer(message)` for what else is no fact;
 * `onState({state, ...})` with the state connecting, live,
 * waiting (`retryMs`), offline, refused (`code`, `message`) or ended (`reason`). The last two are final.
 */
export class Wire {
  constructor({
    url,
    audio = "none",
    speed = null,
    cursor = new Cursor(),
    onFact,
    onHello = () => {},
    onAnswer = () => {},
    onState = () => {},
  }) {
    this.cursor = cursor;
    this.reading = false;
    this._url = url;
    this._audio = audio;
    this._speed = speed; // null: the past at once
    this._onFact = onFact;
    this._onHello = onHello;
    this._onAnswer = onAnswer;
    this._onState = onState;
    this._socket = null;
    this._greeted = false;
    this._timer = null;
    this._failures = 0;
    this._final = false;
    this._complaint = null;
    this._wake = () => this._retryNow();
    this._lost = () => this._drop();
  }

  open() {
    if (this.reading || this._final) return;
    this.reading = true;
    globalThis.addEventListener("online", this._wake);
    globalThis.addEventListener("offline", this._lost);
    this._connect();
  }

  /** Stop reading; the cursor stays, and `open` goes on from there. */
  close() {
    this.reading = false;
    globalThis.removeEventListener("online", this._wake);
    globalThis.removeEventListener("offline", this._lost);
    this._release();
  }

  /** A message or bytes to the server; false while there is no connection. Messages carry a `ref`, or are not answered. */
  send(message) {
    if (!this._greeted || this._socket?.readyState !== WebSocket.OPEN) return false;
    this._socket.send(ArrayBuffer.isView(message) ? message : JSON.stringify(message));
    return true;
  }

  /** Bytes that were sent and have not left this machine. */
  get buffered() {
    return this._socket?.bufferedAmount ?? 0;
  }

  _connect() {
    this._release();
    this._complaint = null;
    this._onState({ state: "connecting" });
    const query = new URLSearchParams({ from: this.cursor.toString(), audio: this._audio });
    if (this._speed !== null) query.set("speed", String(this._speed));
    const socket = openSocket(`${this._url}?${query}`);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    this._expect(CONNECT_MS);
    // A socket that was let go of may still deliver; nobody listens to it any more.
    const current = (handle) => (event) => this._socket === socket && handle(event);
    socket.onmessage = current((event) => this._receive(event.data));
    socket.onclose = current((event) => this._closed(event));
  }

  _receive(data) {
    this._expect(SILENCE_MS);
    this._complaint = null; // what is followed by more was no reason to close
    const { fact, audio } = typeof data === "string" ? { fact: JSON.parse(data), audio: null } : parseFrame(data);
    if (fact.ts === undefined) {
      this._control(fact); // some of what is no fact has a number as well: that of the last one, or of its own
      return;
    }
    const verdict = this.cursor.judge(fact.seq);
    if (verdict === "gap") this._drop();
    if (verdict !== "next") return;
    this.cursor.seq = fact.seq;
    this._onFact(fact, audio);
  }

  _control(message) {
    if (message.type === "hello") {
      this._failures = 0;
      this._greeted = true;
      this.cursor.generation = message.generation;
      this._onHello(message);
      this._onState({ state: "live" });
    } else if (message.type === "error" && message.ref == null) {
      this._complaint = message;
      this._onAnswer(message);
    } else if (message.type === "reconnect") {
      this._move(message.after_s);
    } else if (message.type === "end") {
      this._finish({ state: "ended", reason: message.reason });
    } else {
      this._onAnswer(message);
    }
  }

  async _closed(event) {
    const socket = this._socket;
    const { code, message, retryable } = this._complaint ?? {};
    const refused = REFUSALS.has(event.code) || (code && !retryable);
    const another = event.code === UNKNOWN && (await renewed());
    if (this._socket !== socket) return;
    if (refused && !another) {
      this._finish({ state: "refused", code: code ?? String(event.code), message: message ?? event.reason });
    } else {
      this._drop();
    }
  }

  /** The server's replica is leaving; another one goes on from our cursor, so nobody need be told. */
  _move(afterS) {
    this._failures = 0;
    this._release();
    this._timer = setTimeout(() => this._connect(), afterS * 1000);
  }

  _finish(state) {
    this._final = true;
    this.close();
    this._onState(state);
  }

  /** The connection is of no use any more: let go of it and try again later. */
  _drop() {
    this._release();
    if (globalThis.navigator?.onLine === false) {
      this._onState({ state: "offline" });
      return; // the "online" event wakes us
    }
    const retryMs = retryDelayMs(this._failures, Math.random());
    this._failures += 1;
    this._timer = setTimeout(() => this._connect(), retryMs);
    this._onState({ state: "waiting", retryMs });
  }

  _retryNow() {
    if (this.reading && this._socket === null) this._connect();
  }

  _expect(ms) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._drop(), ms);
  }

  _release() {
    clearTimeout(this._timer);
    this._timer = null;
    const socket = this._socket;
    this._socket = null;
    this._greeted = false;
    socket?.close();
  }
}
