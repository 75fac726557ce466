/** The socket of the user's notifications: comes back by itself, and tells the server what has been taken. */

import { retryDelayMs } from "./client/cursor.js";
import { connection } from "./connection.js";
import { userName } from "./credentials.js";

const REFUSED = 4_400; // close codes from here on: it would be of no use to ask again
const UNKNOWN = 4_401; // the token is not good any more
const PING_MS = 25_000;
const SILENCE_MS = 40_000; // every ping is answered
const STEADY_MS = 5_000; // a connection that has lasted so long was a good one

/** `onNotice(notice)` may take its time: the notice is acknowledged afterwards, and the next one waits. */
export class NoticeWire {
  constructor({ onNotice }) {
    this._onNotice = onNotice;
    this._socket = null;
    this._failures = 0;
    this._timers = [];
    this._done = Promise.resolve();
    this._taken = 0;
  }

  open() {
    globalThis.addEventListener("online", () => this._socket ?? this._connect());
    globalThis.addEventListener("offline", () => this._drop());
    this._connect();
  }

  _connect() {
    this._release();
    const socket = connection.openSocket(`ws/${encodeURIComponent(userName())}`, { ack: "true" });
    this._socket = socket;
    const opened = Date.now();
    socket.onopen = () => this._timers.push(setInterval(() => socket.send('{"type":"ping"}'), PING_MS));
    socket.onmessage = ({ data }) => this._socket === socket && this._receive(socket, JSON.parse(data));
    socket.onclose = async ({ code }) => {
      const another = code === UNKNOWN && (await connection.renew());
      if (this._socket !== socket) return;
      if (Date.now() - opened > STEADY_MS) this._failures = 0;
      if (code >= REFUSED && !another) this._release();
      else this._drop();
    };
    this._expect();
  }

  _receive(socket, message) {
    this._expect();
    if (message.type === "reconnect") {
      this._failures = 0;
      this._drop();
      return;
    }
    if (message.id === undefined || message.id <= this._taken) return;
    this._taken = message.id;
    const taken = () => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "ack", id: message.id }));
    };
    const failed = (error) => reportError(error); // it holds up no other notice
    this._done = this._done.then(() => this._onNotice(message)).then(taken, failed);
  }

  _drop() {
    this._release();
    if (globalThis.navigator.onLine === false) return; // the "online" event wakes us
    this._timers.push(setTimeout(() => this._connect(), retryDelayMs(this._failures, Math.random())));
    this._failures += 1;
  }

  _expect() {
    clearTimeout(this._silence);
    this._silence = setTimeout(() => this._drop(), SILENCE_MS);
  }

  _release() {
    clearTimeout(this._silence);
    for (const timer of this._timers) clearTimeout(timer); // intervals too
    this._timers = [];
    const socket = this._socket;
    this._socket = null;
    socket?.close();
  }
}
