/** The way of one microphone's sound to the server; what got lost with a connection is sent again on the next. */

import { newKey } from "../connection.js";
import { Cursor } from "../cursor.js";
import { EventSocket } from "../event-socket.js";
import { Backlog } from "./backlog.js";
import { FrameBatcher } from "./frame-batcher.js";
import { SPEECH_RATE } from "./resampler.js";
import { SpeechEncoder } from "./speech-encoder.js";

const PUMP_MS = 100;
const FULL_BYTES = { pcm16: 64_000, opus: 8_000 }; // two seconds of sound: more of it waits here, where it can still be forgotten
const GOODBYE_MS = 10_000;
const AGAIN_MS = 1_000;

export class AudioInput {
  /**
   * `onState(state, refusal)`: "connecting", "live", "reconnecting", or at the end "over", with the refusal if there
   * was one; `onTrouble({code, message})` when the input is of no use any more, could not keep everything, or when something that
   * was said is not answered. With `onEvent(event, audio)` the session's events are read on the same socket, from the
   * first connection on, and the input is over only when the events say so. `rate` in Hz. `compress`: sound at 16 kHz
   * is sent as Opus where the browser can; what is kept to be sent again stays as it was given.
   *
   * @param {{connection: import("../connection.js").Connection, rate?: number, compress?: boolean, query?: Record<string, string>, patienceMs?: number,
   *   onState: (state: string, refusal: any) => void, onTrouble?: (trouble: {code: string, message: string}) => void,
   *   onEvent?: ((event: any, audio: Uint8Array | null) => void) | null}} options
   */
  constructor({ connection, rate = SPEECH_RATE, compress = false, query, patienceMs, onState, onTrouble = () => {}, onEvent = null }) {
    this.state = "connecting";
    this.input = newKey();
    this._connection = connection;
    this._rate = rate;
    this._compress = compress && rate === SPEECH_RATE;
    /** @type {"pcm16" | "opus"} */
    this._format = "pcm16";
    /** @type {SpeechEncoder | null} */
    this._encoder = null;
    this._query = query;
    this._patienceMs = patienceMs;
    this._onState = onState;
    this._onTrouble = onTrouble;
    this._onEvent = onEvent;
    this._backlog = new Backlog({ rate });
    this._batcher = new FrameBatcher(rate);
    this._waiting = [];
    this._ready = false;
    this._flushing = false;
    this._wishes = 0;
    this._goodbye = null;
    this._socket = null;
    this._chosen = Promise.resolve();
    this._timers = [];
  }

  /** Sound may be given before this; it is sent when the server is ready for it. */
  open(path) {
    this._socket = new EventSocket({
      connection: this._connection,
      path,
      query: this._query,
      patienceMs: this._patienceMs,
      cursor: Cursor.at("head"),
      onEvent: (event, audio) => this._took(event, audio),
      onHello: () => this._ask(),
      onAnswer: (message) => this._answer(message),
      onState: (state) => this._socketIs(state),
    });
    this._timers = [setInterval(() => this._pump(), PUMP_MS)];
    this._chosen = this._choose();
    this._socket.open();
  }

  async _choose() {
    if (this._compress && (await SpeechEncoder.isSupported())) this._format = "opus";
  }

  send(pcm) {
    if (this.state === "over") return;
    this._keep(this._batcher.push(pcm));
    this._pump();
  }

  _keep(pcm) {
    if (pcm.length) this._backlog.push(pcm);
  }

  /** Resolves when the server has acknowledged all but so much of the sound, or the input is over. */
  async room(ms) {
    while (this.state !== "over" && this._backlog.heldMs > ms) {
      await new Promise((resolve) => this._waiting.push(resolve));
    }
  }

  /** Another message on the same socket; false while there is no connection. */
  tell(message) {
    return this._socket?.send(message) ?? false;
  }

  /** Whether events are being read. */
  get reading() {
    return this._socket?.reading ?? false;
  }

  /** Read no more events, and send no sound, until `goOn`. */
  hold() {
    this._pause();
    this._socket?.close();
  }

  goOn() {
    if (this.state !== "over") this._socket?.open();
  }

  /** What was said is all: let it be an utterance. */
  commit() {
    this._wish("input.commit");
  }

  /** Forget what was said since the last utterance. */
  clear() {
    this._wish("input.clear");
  }

  /** Say goodbye once everything is said; without a connection, wait a while for the next. */
  close() {
    if (this._goodbye || this.state === "over") return;
    if (!this._socket) {
      this._end();
      return;
    }
    this._goodbye = this._wish("input.close");
    if (!this._onEvent) this._timers.push(setTimeout(() => this._end(), GOODBYE_MS));
  }

  /** The page is left: say goodbye now or never. */
  abandon() {
    this._keep(this._batcher.take());
    this._pump();
    if (this._goodbye && this._flushing) this._socket.send(this._goodbye); // what the encoder still has is lost
    this._end();
  }

  _wish(type) {
    this._wishes += 1;
    const wish = { type, ref: `${type} ${this._wishes}` };
    this._keep(this._batcher.take());
    this._backlog.wish(wish);
    this._pump();
    return wish;
  }

  async _ask() {
    await this._chosen;
    const { input } = this;
    if (this._goodbye && !this._backlog.wishes.includes(this._goodbye)) return; // only its events are waited for
    const at_ms = Math.ceil(this._backlog.fromMs);
    this._pause();
    const rate = this._format === "pcm16" ? { rate: this._rate } : {};
    this._socket.send({ type: "input.open", input, format: this._format, ...rate, at_ms, ref: "open" });
  }

  _answer(message) {
    if (message.type === "input.ready" && message.input === this.input) this._begin(message.from_ms);
    else if (message.type === "input.ack" && message.input === this.input) this._acknowledged(message.ms);
    else if (message.type === "accepted") this._done(message.ref);
    else if (message.type === "error" && message.ref === "open") this._refused(message);
    else if (message.type === "error") this._error(message);
  }

  _acknowledged(ms) {
    this._backlog.acknowledge(ms);
    this._wakeWaiting();
  }

  _wakeWaiting() {
    for (const resolve of this._waiting.splice(0)) resolve();
  }

  _begin(fromMs) {
    if (!this._backlog.rewind(fromMs)) {
      this._beginAnew();
      return;
    }
    if (this._format === "opus") this._encoder = this._newEncoder();
    this._ready = true;
    this._say("live");
    this._pump();
  }

  /** From the acknowledged sample on; the one before belongs to another connection. */
  _newEncoder() {
    const encoder = new SpeechEncoder({
      onPacket: (packet) => {
        if (encoder === this._encoder && this._ready) this._ready = this._socket.send(packet);
      },
      onFailed: () => {
        if (encoder !== this._encoder) return;
        this._format = "pcm16";
        this._ask();
      },
    });
    return encoder;
  }

  _pause() {
    this._ready = false;
    this._encoder?.close();
    this._encoder = null;
    this._flushing = false;
  }

  /** What we still have is another input. */
  _beginAnew() {
    this._onTrouble({ code: "input.beginning_lost", message: "The connection was gone for long: the beginning of what was said is lost." });
    this._backlog.restart();
    this.input = newKey();
    this._socket.close();
    this._socket.open();
  }

  _done(ref) {
    const wish = this._backlog.wishes.find((one) => one.ref === ref);
    if (!wish) return;
    this._backlog.done(wish);
    if (wish === this._goodbye && !this._onEvent) this._end();
  }

  _refused(refusal) {
    const { field, retryable } = refusal;
    if (field === "at_ms") this._beginAnew();
    else if (!retryable) this._end(refusal);
    else {
      this._onTrouble(refusal);
      this._timers.push(setTimeout(() => this._ask(), AGAIN_MS));
    }
  }

  /** About sound, about what was said in it, or about a wish, which cannot be helped: such as a commit of nothing. */
  _error({ ref, code, message }) {
    this._done(ref);
    if (code === "input.not_open" && this._ready) this._ask();
    else if (ref === "input") this._onTrouble({ code, message });
  }

  _took(event, audio) {
    const { type, data } = event;
    const closed = type === "input.closed" && data.input === this.input;
    const failed = closed && data.reason === "failed" && !this._goodbye;
    this._onEvent?.(event, audio);
    if (failed) this._end({ code: data.code, message: data.message || "Listening failed" });
    else if (closed && this._onEvent) this._end();
  }

  _socketIs(socket) {
    const { state } = socket;
    if (state === "waiting" || state === "offline") {
      this._pause();
      this._say("reconnecting");
    } else if (state === "refused") {
      this._end(socket);
    } else if (state === "ended") {
      this._end({ code: "session.ended", message: "The session is over" });
    }
  }

  _pump() {
    while (this._ready && !this._flushing && !this._encoder?.isFull && this._socket.buffered < FULL_BYTES[this._format]) {
      const item = this._backlog.next();
      if (!item) return;
      if (!this._encoder) this._ready = this._socket.send(item.pcm ?? item.wish);
      else if (item.pcm) this._encoder.encode(item.pcm);
      else void this._sendAfterSound(this._encoder, item.wish);
    }
  }

  /** A wish counts for the sound before it: all of that has to be in packets. */
  async _sendAfterSound(encoder, wish) {
    this._flushing = true;
    const filled = await encoder.flush().catch(() => null); // closed with its connection, or failed
    if (encoder !== this._encoder || filled === null) return;
    this._backlog.fill(filled, wish);
    this._flushing = false;
    this._ready = this._socket.send(wish);
    this._pump();
  }

  /** @param {{code: string, message: string, field?: string | null} | null} refusal */
  _end(refusal = null) {
    if (this.state === "over") return;
    for (const timer of this._timers) clearTimeout(timer);
    this._pause();
    this._socket?.close();
    if (refusal) this._onTrouble(refusal);
    this._say("over", refusal);
    this._wakeWaiting();
  }

  _say(state, refusal = null) {
    if (this.state === state) return;
    this.state = state;
    this._onState(state, refusal);
  }
}
