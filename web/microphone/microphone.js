/** One microphone of this page, from being switched on to being switched off: its sound, and its line. */

import { Problem } from "../api.js";
import { AudioInput } from "../client/microphone/audio-input.js";
import { Capture } from "../client/microphone/capture.js";
import { loudness, rmsOf } from "../client/loudness.js";
import { connection } from "../connection.js";
import { asSentence } from "../dom.js";
import { refusalOf } from "../refusals.js";
import { deviceChoices } from "../storage.js";
import { t } from "../strings.js";
import { inWords, lacking } from "./trouble.js";

const TAIL_MS = 160; // the last word is often not over when the button is let go of
const FALL = 0.88; // of the level, from frame to frame

const wordsFor = (error) => (error instanceof Problem ? asSentence(error.message) : inWords(error.name));

/** `onChange()` when `status` is another one; `onLevel(level)` for every frame; `onTrouble(text)`, null: there is none. */
export class Microphone {
  constructor({ onChange, onLevel, onTrouble }) {
    this.manual = false;
    this._onChange = onChange;
    this._onLevel = onLevel;
    this._onTrouble = onTrouble;
    this._level = 0;
    this._capture = null;
    this._line = null;
    this._url = null;
    this._phase = "off";
    this._muted = false;
    this._holding = false;
    this._tail = null;
    this._attempts = 0;
  }

  /** The present facts, for `stateOf`. */
  get status() {
    const { manual, _phase: phase, _muted: muted, _holding: holding } = this;
    return { phase, manual, muted, holding, line: this._line?.state ?? "over", input: this._line?.input ?? null };
  }

  get isOn() {
    return this._phase === "opening" || this._phase === "on";
  }

  /** Must be called from a gesture. `place()` gives the address of the line; it is asked only if there is sound. */
  async open(place) {
    if (this._phase !== "off") return;
    this._onTrouble(null);
    const missing = lacking(globalThis);
    if (missing) {
      this._onTrouble(inWords(missing));
      return;
    }
    this._become("opening");
    this._attempts += 1;
    const attempt = this._attempts;
    try {
      const capture = await this._capturing(attempt);
      if (this._isOf(attempt)) await this._begin(capture, place);
      else capture.close(); // it was switched off meanwhile
    } catch (error) {
      this._fail(attempt, wordsFor(error));
      if (!(error instanceof DOMException || error instanceof Problem)) throw error; // a mistake of ours stays loud
    }
  }

  _capturing(attempt) {
    return Capture.open({
      device: deviceChoices().read()?.input,
      onFrame: (pcm) => this._frame(pcm),
      onLost: (why) => this._lost(attempt, why),
    });
  }

  /** Another device was chosen: what is said goes on there, in the same input. Rejects with a DOMException. */
  async replace() {
    const attempt = this._attempts;
    if (this._phase !== "on") return null;
    const capture = await this._capturing(attempt);
    if (!this._isOf(attempt)) {
      capture.close();
      return null;
    }
    this._capture.close();
    this._capture = capture;
    capture.mute(this._muted);
    return capture.label;
  }

  /** Chosen by hand; where it cannot be had, the one before goes on. */
  async change() {
    try {
      await this.replace();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this._onTrouble(inWords(error.name));
    }
  }

  async _lost(attempt, why) {
    if (why !== "unplugged" || this._phase !== "on") {
      this._fail(attempt, inWords(why));
      return;
    }
    try {
      const label = await this.replace();
      if (label !== null) this._onTrouble(t("The microphone was disconnected. Listening goes on with “{name}”.", { name: label }));
    } catch (error) {
      this._fail(attempt, inWords(why));
      if (!(error instanceof DOMException)) throw error;
    }
  }

  /** It was not switched off since `attempt` began. */
  _isOf(attempt) {
    return this.isOn && attempt === this._attempts;
  }

  async _begin(capture, place) {
    const line = this._newLine();
    this._capture = capture;
    this._line = line;
    this._url = await place();
    if (this._line !== line) return;
    this._become("on");
    line.open(this._url);
  }

  _newLine() {
    const line = new AudioInput({
      connection,
      compress: true,
      onState: (state) => this._lineIs(line, state),
      onTrouble: (trouble) => line === this._line && this._onTrouble(asSentence(refusalOf(trouble))),
    });
    return line;
  }

  /** From now on it is another input: the old one listens as it was told to in the beginning. */
  renew() {
    if (this._phase !== "on") return;
    const before = this._line;
    this._line = this._newLine();
    before.close();
    this._line.open(this._url);
    this._onChange();
  }

  /** Be off; the line says the rest, and then goodbye. */
  close() {
    const line = this._line;
    if (!this.isOn) return;
    this._letGo();
    this._become("off");
    line?.close();
  }

  /** The page is left. */
  abandon() {
    const line = this._line;
    this.close();
    line?.abandon();
  }

  mute(muted) {
    if (this._phase !== "on" || muted === this._muted) return;
    this._muted = muted;
    this._capture.mute(muted);
    if (muted) this._line.commit();
    this._onChange();
  }

  hold() {
    clearTimeout(this._tail);
    this._tail = null;
    this._holding = true;
    this._onChange();
  }

  release() {
    if (!this._holding || this._tail !== null) return;
    this._tail = setTimeout(() => this._endHold((line) => line.commit()), TAIL_MS);
  }

  /** Nothing was meant by it. */
  discard() {
    clearTimeout(this._tail);
    if (this._holding) this._endHold((line) => line.clear());
  }

  _endHold(wish) {
    this._tail = null;
    this._holding = false;
    if (this._line) wish(this._line);
    this._onChange();
  }

  _frame(pcm) {
    const sent = !this._muted && (!this.manual || this._holding);
    if (sent && this._line) this._line.send(pcm);
    this._level = Math.max(this._muted ? 0 : loudness(rmsOf(pcm)), this._level * FALL);
    this._onLevel(this._level);
  }

  _lineIs(line, state) {
    if (line !== this._line) return; // the one before says goodbye
    if (state === "over") {
      this._letGo();
      this._become("off");
    } else {
      this._onChange();
    }
  }

  _fail(attempt, text) {
    if (!this._isOf(attempt)) return;
    this.close();
    this._onTrouble(text);
  }

  _letGo() {
    clearTimeout(this._tail);
    this._tail = null;
    this._capture?.close();
    this._capture = null;
    this._muted = false;
    this._holding = false;
    this._level = 0;
    this._onLevel(0);
  }

  _become(phase) {
    this._phase = phase;
    if (phase === "off") this._line = null;
    this._onChange();
  }
}
