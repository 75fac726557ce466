/** A conversation by voice in a browser: the microphone is sent to a session, and the answers are heard. */

import { errorOf } from "./event-queue.js";
import { AudioInput } from "./microphone/audio-input.js";
import { Capture } from "./microphone/capture.js";
import { Ledger } from "./playback/heard.js";
import { Speaker } from "./playback/speaker.js";

const GOODBYE_MS = 10_000;
const OVER = new Set(["turn.completed", "turn.stopped", "turn.failed"]);

/**
 * @typedef {"off" | "connecting" | "reconnecting" | "listening" | "hearing" | "thinking" | "speaking"} VoiceState
 * "hearing": somebody speaks; "thinking": an answer is waited for.
 */

export class VoiceConversation {
  /**
   * `connection` leads to the server, `session()` resolves to the session that is spoken to. `onState(state)` for each
   * new state; `onEvent(event)` for the session's events from now on; `onTrouble(error)` for what ended the conversation.
   *
   * @param {{connection: import("./connection.js").Connection, session: () => Promise<import("./client.js").Session>,
   *   onState?: (state: VoiceState) => void, onEvent?: (event: import("./events.js").SessionEvent) => void, onTrouble?: (error: Error) => void}} options
   */
  constructor({ connection, session, onState = () => {}, onEvent = () => {}, onTrouble = () => {} }) {
    /** @type {VoiceState} */
    this.state = "off";
    this._connection = connection;
    this._place = session;
    this._onState = onState;
    this._onEvent = onEvent;
    this._onTrouble = onTrouble;
    this._attempts = 0;
    this._forget();
  }

  /** Must be called from a gesture. Resolves once the microphone is open; what hinders that is told to `onTrouble`. */
  async start() {
    if (this.state !== "off") return;
    this._attempts += 1;
    const attempt = this._attempts;
    this._is("connecting");
    try {
      const ledger = new Ledger({ tell: (message) => this._input?.tell(message) ?? false });
      const speaker = await Speaker.open(this._connection, {
        onHeard: (turn, ms, sounding) => {
          ledger.progress(turn, ms, sounding);
          this._sounds(sounding);
        },
        onEnded: (turn, ms, underruns) => {
          ledger.last(turn, ms, underruns);
          if (this._attempts === attempt) this._sounds(false);
        },
        onFailed: (error) => this._end(attempt, error),
      });
      if (!this._keep(attempt, speaker)) return;
      this._speaker = speaker;
      const capture = await Capture.open({
        onFrame: (pcm) => this._input?.send(pcm),
        onLost: () => this._end(attempt, new DOMException("The microphone is gone.", "NotFoundError")),
        worklet: this._connection.address("web/client/microphone/capture-worklet.js"),
      });
      if (!this._keep(attempt, capture)) return;
      this._capture = capture;
      const session = await this._place();
      if (this._attempts === attempt) this._open(attempt, session);
    } catch (error) {
      this._end(attempt, error);
    }
  }

  /** Switches the microphone off, and the answer too. What was said is still transcribed. */
  stop() {
    this._end(this._attempts, null);
  }

  /** What was opened after the conversation was left is closed at once. */
  _keep(attempt, opened) {
    if (this._attempts === attempt && this.state !== "off") return true;
    opened.close();
    return false;
  }

  _open(attempt, session) {
    this._input = new AudioInput({
      connection: this._connection,
      compress: true,
      query: { audio: this._speaker.codec },
      onState: (state, refusal) => {
        if (this._attempts !== attempt) return;
        this._connected = state;
        if (state === "over") this._end(attempt, refusal && errorOf(refusal));
        else this._settle();
      },
      onEvent: (event, audio) => this._attempts === attempt && this._take({ ...event, audio }),
    });
    this._input.open(`${session.path}/stream`);
  }

  _take(event) {
    const { type, turn, seq } = event;
    if (type === "speech.started") this._hearing = true;
    else if (type === "speech.ended" || type === "speech.discarded") this._hearing = false;
    else if (type === "turn.requested") {
      this._waiting.add(seq);
      this._speaker.resume();
    } else if (type === "playback.paused") this._speaker.pause();
    else if (type === "playback.resumed") this._speaker.resume();
    else if (type === "playback.flushed") this._drop(turn);
    else if (type === "audio.chunk" && event.audio) this._speaker.push(event);
    else if (OVER.has(type)) this._over(type, turn);
    this._onEvent(event);
    this._settle();
  }

  _over(type, turn) {
    this._waiting.delete(turn);
    if (type === "turn.stopped") this._drop(turn);
    else this._speaker.end(turn);
  }

  _drop(turn) {
    this._speaker.drop(turn);
    this._speaker.resume();
  }

  _sounds(sounding) {
    if (sounding === this._sounding) return;
    this._sounding = sounding;
    this._settle();
  }

  _settle() {
    if (this.state === "off") return;
    if (this._connected !== "live") this._is(this._connected === "reconnecting" ? "reconnecting" : "connecting");
    else if (this._hearing) this._is("hearing");
    else if (this._sounding) this._is("speaking");
    else this._is(this._waiting.size > 0 || this._speaker.turn !== null ? "thinking" : "listening");
  }

  _end(attempt, error) {
    if (attempt !== this._attempts || this.state === "off") return;
    this._attempts += 1;
    const { _input: input, _capture: capture, _speaker: speaker } = this;
    capture?.close();
    if (speaker?.turn != null) speaker.drop(speaker.turn); // the server is told how much of it was heard
    speaker?.close();
    this._forget();
    input?.close();
    setTimeout(() => input?.abandon(), GOODBYE_MS);
    this._is("off");
    if (error) this._onTrouble(error);
  }

  _forget() {
    this._speaker = null;
    this._capture = null;
    this._input = null;
    this._connected = "connecting"; // the input's state
    this._hearing = false;
    this._sounding = false;
    this._waiting = new Set(); // turns that were asked for and are not over
  }

  /** @param {VoiceState} state */
  _is(state) {
    if (state === this.state) return;
    this.state = state;
    this._onState(state);
  }
}
