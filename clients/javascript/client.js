/** Sessions, turns, events, sound and microphones of one server: the methods of the Python client, with promises. */

import { ApiError, Connection, newKey } from "./connection.js";
import { Cursor } from "./cursor.js";
import { EventSocket } from "./event-socket.js";
import { errorOf, read } from "./event-queue.js";
import { listen } from "./microphone/listen.js";
import { Speaker } from "./playback/speaker.js";

const PATIENCE_MS = 30_000; // without a connection, and the client gives up
const TITLE_CHARS = 80;
const AUDIO_AHEAD_MS = 30_000;

const environment = globalThis.process?.env ?? {};

/**
 * @typedef {"none" | "opus" | "pcm16" | "mp3" | "wav"} AudioFormat
 * Of `audio.chunk` events: `pcm16` is 24 kHz, mono, little-endian; the others are in docs/protocol.md.
 *
 * @typedef {import("./events.js").SessionEvent} SessionEvent
 * @typedef {Record<string, unknown>} Settings
 * Those of docs/protocol.md, as `{voice: "joe", language: "de"}`.
 */

export class Rhapsode {
  /**
   * `url` is the server's address (in Node RHAPSODE_URL, or http://127.0.0.1:8000); `key` an API key or a token (in
   * Node RHAPSODE_KEY). `renew()` resolves to the next token once the server refuses this one, or to null. Every
   * method rejects with ApiError.
   *
   * @param {string} [url] @param {{key?: string | null, renew?: () => Promise<string | null>}} [options]
   */
  constructor(url = environment.RHAPSODE_URL ?? "http://127.0.0.1:8000", { key = environment.RHAPSODE_KEY ?? null, renew } = {}) {
    let shown = key;
    this.connection = new Connection({
      url: url.endsWith("/") ? url : `${url}/`,
      credential: () => shown,
      renew: async () => Boolean(renew && (shown = await renew())),
      patienceMs: PATIENCE_MS,
    });
  }

  /** A new session. @param {{title?: string} & Settings} [settings] */
  async create({ title = "", ...settings } = {}) {
    const { session_id: id } = await this.connection.call("POST", "v1/sessions", { settings, title });
    return this.session(id);
  }

  /** A session that is there already; asks nothing. @param {string} id */
  session(id) {
    return new Session(this.connection, id);
  }

  /** The caller's latest sessions, newest first. @param {{limit?: number}} [query] @returns {Promise<any[]>} */
  async sessions({ limit = 50 } = {}) {
    return (await this.connection.call("GET", `v1/sessions?limit=${limit}`)).sessions;
  }

  /** The voices and their languages. @returns {Promise<any>} */
  voices() {
    return this.connection.call("GET", "v1/voices");
  }

  /** The whole answer to one prompt, in a session of its own. @param {string} prompt @param {Settings} [settings] */
  async ask(prompt, settings = {}) {
    const session = await this.create({ title: prompt.slice(0, TITLE_CHARS) });
    return (await session.ask(prompt, settings)).text();
  }
}

/** A session: its commands, and its events from any place on. */
export class Session {
  /** @param {Connection} connection @param {string} id */
  constructor(connection, id) {
    this.connection = connection;
    this.id = id;
    this.path = `v1/sessions/${encodeURIComponent(id)}`;
  }

  /** Asks the language model. The answer has its number as soon as the log has the question. @param {string} prompt @param {Settings} [settings] */
  ask(prompt, settings = {}) {
    return this._request({ prompt, settings });
  }

  /** Has a text read out, word for word. @param {string} text @param {Settings} [settings] */
  say(text, settings = {}) {
    return this._request({ text, settings });
  }

  /** @param {Record<string, unknown>} request */
  async _request(request) {
    const { turn } = await this.connection.call("POST", `${this.path}/turns`, { ...request, key: newKey() });
    return new Turn(this, turn);
  }

  /**
   * Every event after `after` (a `seq`, a cursor or "head"), in order, each once.
   *
   * A dropped connection is resumed at the last event. `turn` ends after that turn; `speed` replays at the recorded
   * pace times that, 0 at once; without `follow` the events end at the present. An abort of `signal` rejects with its reason.
   *
   * @param {number | string} [after]
   * @param {{audio?: AudioFormat, turn?: number, speed?: number, follow?: boolean, signal?: AbortSignal}} [query]
   * @returns {AsyncGenerator<SessionEvent, void, void>}
   */
  events(after = 0, { follow = true, signal, ...query } = {}) {
    const wishes = Object.entries({ follow, ...query }).filter(([, value]) => value !== undefined);
    return read(({ onEvent, onEnd }) => {
      const socket = new EventSocket({
        connection: this.connection,
        path: `${this.path}/stream`,
        query: Object.fromEntries(wishes.map(([name, value]) => [name, String(value)])),
        cursor: Cursor.at(after),
        patienceMs: this.connection.patienceMs,
        onEvent,
        onState: (state) => {
          if (state.state === "ended") onEnd(null);
          if (state.state === "refused") onEnd(errorOf(state));
        },
      });
      socket.open();
      return socket;
    }, signal);
  }

  /**
   * Sends PCM (mono, 16 bits, little-endian; `rate` in Hz) as a microphone does, and yields events.
   *
   * The events are those from now on: transcripts, the questions that they become, the answers, and their sound. Ends
   * when `sound` has ended and all of it is transcribed. After a dropped connection the sound that the server has not
   * acknowledged is sent again. `microphone()` is the sound of a browser's microphone.
   *
   * @param {AsyncIterable<Uint8Array | Int16Array>} sound @param {{rate?: number, audio?: AudioFormat, signal?: AbortSignal}} [options]
   * @returns {AsyncGenerator<SessionEvent, void, void>}
   */
  listen(sound, { rate = 16_000, audio = "none", signal } = {}) {
    return listen(sound, {
      connection: this.connection,
      path: `${this.path}/stream`,
      query: { audio },
      rate,
      signal,
      patienceMs: this.connection.patienceMs,
    });
  }

  /** Stops the running answer. */
  async stop() {
    await this._control("stop");
  }

  /** Pauses playback for every listener. */
  async pause() {
    await this._control("pause");
  }

  /** Goes on with playback. */
  async resume() {
    await this._control("resume");
  }

  /** @param {string} action */
  async _control(action) {
    await this.connection.call("POST", `${this.path}/control`, { action });
  }

  /** Changes settings for turns that are asked for from now on. @param {Settings} settings */
  async change(settings) {
    await this.connection.call("PATCH", this.path, { settings });
  }

  /** A new session with this one's events up to `at`; without it, all of them. @param {{at?: number} & Settings} [wish] */
  async fork({ at, ...settings } = {}) {
    const { session_id: id } = await this.connection.call("POST", `${this.path}/fork`, { at, settings });
    return new Session(this.connection, id);
  }

  /** The session as it is: title, settings, turns. @returns {Promise<any>} */
  view() {
    return this.connection.call("GET", this.path);
  }

  /** What has been spoken so far, as a file whose body can be read piece by piece. @param {"wav" | "mp3" | "opus" | "pcm16"} [format] @param {{turn?: number}} [query] */
  audio(format = "wav", { turn } = {}) {
    const query = turn === undefined ? "" : `&turn=${turn}`;
    return this.connection.patiently("GET", `${this.path}/audio?format=${format}${query}`);
  }

  /** Deletes the session with all of its events. */
  async delete() {
    await this.connection.call("DELETE", this.path);
  }
}

/** One question or text, and what becomes of it. */
export class Turn {
  /** @param {Session} session @param {number} number */
  constructor(session, number) {
    this.session = session;
    this.number = number;
  }

  /** The events from the request to the end of the turn. @param {{audio?: AudioFormat}} [query] */
  events({ audio = "none" } = {}) {
    return this.session.events(this.number - 1, { turn: this.number, audio });
  }

  /** The text while it is written. @returns {AsyncGenerator<string, void, void>} */
  async *deltas() {
    for await (const event of this.events()) {
      check(event);
      if (event.type === "text.delta") yield event.data.text;
    }
  }

  /**
   * The whole text, when the turn is over. Of an answer that its length limit cut, what follows the last whole
   * sentence is left out.
   */
  async text() {
    let text = "";
    let standing = Infinity; // in code points
    for await (const event of this.events()) {
      check(event);
      if (event.type === "text.delta") text += event.data.text;
      if (event.type === "text.completed" && event.data.finish === "length") standing = event.data.chars;
    }
    return Array.from(text).slice(0, standing).join("");
  }

  /** Plays the turn in a browser while it is made; resolves when the last of it was heard. Call it from a gesture. */
  async speak() {
    const speaker = await Speaker.open(this.session.connection);
    try {
      for await (const event of this.events({ audio: speaker.codec })) {
        check(event);
        if (event.audio) speaker.push(event);
        await speaker.room(AUDIO_AHEAD_MS);
      }
      speaker.end(this.number);
      await speaker.room(0);
    } finally {
      speaker.close();
    }
  }
}

/** Throws an ApiError where the turn has failed. @param {SessionEvent} event */
function check(event) {
  if (event.type === "turn.failed") throw new ApiError({ detail: event.data.message, code: event.data.code });
}
