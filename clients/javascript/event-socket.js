/** One reader of a session's log over a WebSocket: every event once, in order, whatever the network does. */

import { Cursor, retryDelayMs } from "./cursor.js";
import { parseFrame } from "./frames.js";

const SILENCE_MS = 40_000; // the server says something every 15 s
const CONNECT_MS = 10_000;
const UNKNOWN = 4401; // the token is not good any more
const LOST = { code: "connection.lost", message: "The server cannot be reached.", field: null, retryable: true, afterS: null };
const REFUSALS = new Set([4400, 4401, 4403, 4404, 4409, 4410, 4422]);

/**
 * Calls, in this order per event: `onEvent(event, audio)`; `audio` is null unless the event carries some.
 * `onHello(hello)` on every connection, from then on `send` works; `onAnswer(message)` for what else is no event;
 * `onState({state, ...})` with the state connecting, live, waiting (`retryMs`), offline, refused (`code`, `message`,
 * `field`) or ended (`reason`). The last two are final.
 */
export class EventSocket {
  /**
   * `path` leads to a session's stream, `query` its other parameters (docs/protocol.md). Without an answer for
   * `patienceMs` after the connection was lost it is refused, with the server's code or "connection.lost".
   *
   * @param {{connection: import("./connection.js").Connection, path: string, query?: Record<string, string>, cursor?: Cursor,
   *   patienceMs?: number, onEvent: (event: any, audio: Uint8Array | null) => void, onHello?: (hello: any) => void,
   *   onAnswer?: (message: any) => void, onState?: (state: any) => void}} options
   */
  constructor({
    connection,
    path,
    query = {},
    cursor = new Cursor(),
    patienceMs = Infinity,
    onEvent,
    onHello = () => {},
    onAnswer = () => {},
    onState = () => {},
  }) {
    this.cursor = cursor;
    this.reading = false;
    this._connection = connection;
    this._path = path;
    this._query = query;
    this._patienceMs = patienceMs;
    this._onEvent = onEvent;
    this._onHello = onHello;
    this._onAnswer = onAnswer;
    this._onState = onState;
    this._socket = null;
    this._greeted = false;
    this._timer = null;
    this._failures = 0;
    this._lostAt = 0; // when there was a connection last, or reading began
    this._final = false;
    this._complaint = null;
    this._wake = () => this._retryNow();
    this._lost = () => this._drop();
  }

  open() {
    if (this.reading || this._final) return;
    this.reading = true;
    this._lostAt = Date.now();
    globalThis.addEventListener?.("online", this._wake); // Node has neither
    globalThis.addEventListener?.("offline", this._lost);
    this._connect();
  }

  /** Stop reading; the cursor stays, and `open` goes on from there. */
  close() {
    this.reading = false;
    globalThis.removeEventListener?.("online", this._wake);
    globalThis.removeEventListener?.("offline", this._lost);
    this._release();
  }

  /** A message or bytes to the server; false while there is no connection. Messages carry a `ref`, or are not answered. */
  send(message) {
    if (!this._greeted || this._socket?.readyState !== WebSocket.OPEN) return false;
    /** @type {any} */
    const data = ArrayBuffer.isView(message) ? message : JSON.stringify(message);
    this._socket.send(data);
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
    const query = { from: this.cursor.toString(), audio: "none", ...this._query };
    const socket = this._connection.openSocket(this._path, query);
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
    const { event, audio } = typeof data === "string" ? { event: JSON.parse(data), audio: null } : parseFrame(data);
    if (event.ts === undefined) {
      this._control(event); // some of what is no event has a number as well: that of the last one, or of its own
      return;
    }
    const verdict = this.cursor.judge(event.seq);
    if (verdict === "gap") this._drop();
    if (verdict !== "next") return;
    this.cursor.seq = event.seq;
    this._onEvent(event, audio);
  }

  _control(message) {
    if (message.type === "hello") {
      this._failures = 0;
      this._greeted = true;
      this.cursor.begin(message);
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
    const { code, message, field = null, retryable, retry_after_s: afterS = null } = this._complaint ?? {};
    const refused = REFUSALS.has(event.code) || (code && !retryable);
    const another = event.code === UNKNOWN && (await this._connection.renew().catch(() => false));
    if (this._socket !== socket) return;
    if (refused && !another) {
      this._finish({ state: "refused", code: code ?? String(event.code), message: message ?? event.reason, field });
    } else {
      this._drop(code ? { code, message, field, retryable: true, afterS } : undefined);
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

  /** The connection is of no use any more: let go of it and try again later, where `why` says so after its seconds. */
  _drop({ afterS, ...why } = LOST) {
    this._release();
    const afterMs = (afterS ?? 0) * 1000;
    if (Date.now() + afterMs - this._lostAt > this._patienceMs) {
      this._finish({ state: "refused", ...why });
      return;
    }
    if (globalThis.navigator?.onLine === false) {
      this._onState({ state: "offline" });
      return; // the "online" event wakes us
    }
    const retryMs = Math.max(afterMs, retryDelayMs(this._failures, Math.random()));
    this._failures += 1;
    this._timer = setTimeout(() => this._connect(), retryMs);
    this._onState({ state: "waiting", retryMs });
  }

  _retryNow() {
    if (!this.reading || this._socket !== null) return;
    this._lostAt = Date.now(); // before, nothing could be tried
    this._connect();
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
    if (this._greeted) this._lostAt = Date.now();
    this._greeted = false;
    socket?.close();
  }
}
