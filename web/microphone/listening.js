/** Being listened to on this page: the microphone, the strip that shows it, and what is understood. */

import { byId } from "../dom.js";
import { listeningChoices } from "../storage.js";
import { Microphone } from "./microphone.js";
import { Recordings } from "./recordings.js";
import { SpeechView } from "./speech-view.js";
import { current, stateOf } from "./state.js";
import { Strip } from "./strip.js";

/** Where nobody has chosen and no session says otherwise; the same as the server's. */
const USUAL = { mode: "realtime", compare: false, turn_detection: "vad", record: true, barge_in: true };
const ALOUD = new Set(["reconnecting", "muted", "listening", "ready"]); // states that are worth a screen reader's word

export class Listening {
  /**
   * `begin()`: the session, which is made if need be; `change(patch)` changes how the session
   * listens; `announce(text)` to a screen reader; `onChange()` when there is something new to draw.
   */
  constructor({ begin, change, announce, onChange }) {
    this._place = async () => (await begin()).url;
    this._recordings = new Recordings({ begin });
    this._change = change;
    this._announce = announce;
    this._settings = { ...USUAL, ...listeningChoices().read() };
    this._wished = {}; // that the server has not heard of yet
    this._begunWith = null; // the settings that the input was opened with
    this._state = { name: "off", words: "" };
    this._speech = new SpeechView();
    this._microphone = new Microphone({
      onChange,
      onLevel: (level) => this._strip.showLevel(level),
      onTrouble: (text) => this._strip.showTrouble(text),
    });
    this._strip = new Strip({
      onToggle: () => this._toggle(),
      onHold: () => this._hold(),
      onRelease: () => this._microphone.release(),
      onDiscard: () => this._microphone.discard(),
      onMute: () => this._microphone.mute(!this._microphone.ear.muted),
      onHangUp: () => this._hangUp(),
      onSettings: (patch) => this.choose(patch),
    });
    byId("microphone").hidden = false;
    addEventListener("pagehide", () => this._microphone.abandon());
  }

  /** How the session listens, or would. */
  get settings() {
    return this._settings;
  }

  /** What a new session is to be told: only what somebody has chosen. */
  get choices() {
    return listeningChoices().read() ?? {};
  }

  /** From now on, in this session and in those that this browser begins. */
  async choose(patch) {
    listeningChoices().write({ ...this.choices, ...patch });
    this._wished = { ...this._wished, ...patch };
    this._settings = { ...this._settings, ...patch };
    await this._change(patch);
    this._wished = {};
  }

  /** Is it this page's microphone? */
  owns(input) {
    return input !== undefined && input === this._microphone.ear.input;
  }

  hangUp() {
    this._microphone.close();
  }

  /** The element of what is being said, or null; `answering`: something is being answered or read out. */
  draw(story, answering) {
    if (story.settings?.listening) this._follow(story.settings.listening);
    this._microphone.manual = this._settings.turn_detection === "manual";
    const { ear } = this._microphone;
    const utterances = current(story.speech, Date.now());
    const state = stateOf(ear, utterances, answering);
    this._strip.show({ settings: this._settings, state, ear });
    if (state.name !== this._state.name && ALOUD.has(state.name) && !this._passing(state)) this._announce(state.words);
    this._state = state;
    this._recordings.draw(story.speech.inputs);
    return this._speech.update(utterances);
  }

  /** Back from hearing and understanding to listening is nothing that anybody need be told. */
  _passing({ name }) {
    return ["listening", "ready"].includes(name) && !["connecting", "reconnecting", "muted"].includes(this._state.name);
  }

  /** An input listens as it was told to when it was opened: another way needs another input. */
  _follow(settings) {
    this._settings = { ...USUAL, ...settings, ...this._wished };
    const wanted = JSON.stringify(settings);
    if (this._microphone.ear.phase !== "on") {
      this._begunWith = null;
    } else {
      if (this._begunWith !== null && this._begunWith !== wanted) this._microphone.renew();
      this._begunWith = wanted;
    }
  }

  _toggle() {
    if (this._microphone.isOn) this._hangUp();
    else void this._microphone.open(this._place);
  }

  _hold() {
    if (!this._microphone.isOn) void this._microphone.open(this._place);
    this._microphone.hold();
  }

  _hangUp() {
    this._microphone.close();
    byId("microphone").focus({ preventScroll: true });
  }
}
