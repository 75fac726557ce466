/** Being listened to on this page: the microphone, the strip that shows it, and what is understood. */

import { Problem } from "../api.js";
import { asSentence, byId } from "../dom.js";
import { listeningChoices } from "../storage.js";
import { askForConsent } from "../voice/consent.js";
import { VoiceView } from "../voice/voice-view.js";
import { Microphone } from "./microphone.js";
import { Recordings } from "./recordings.js";
import { SpeechView } from "./speech-view.js";
import { current, listeningOf, stateOf } from "./state.js";
import { Strip } from "./strip.js";

/** The server's own settings where nobody has chosen. */
const USUAL = {
  mode: "realtime",
  turn_detection: "vad",
  record: true,
  barge_in: true,
  language: null,
  endpointing: { threshold: 0.5, silence_ms: 500, doubtful_ms: 900, incomplete_ms: 900 },
};
const ALOUD = new Set(["reconnecting", "muted", "listening", "ready"]); // states that are worth a screen reader's word

export class Listening {
  /**
   * `begin()`: the session, which is made if need be; `attach(files)`: they were dropped; `change(patch)` changes how the session
   * listens, or rejects with a Problem; `announce(text)` to a screen reader; `onChange()` when there is something new
   * to draw; `hush()` ends what is heard; `theirs()` is how loud that is, from 0 to 1; `onSettings()` shows the settings.
   */
  constructor({ begin, attach, change, announce, onChange, hush, theirs, onSettings }) {
    this._place = async () => (await begin()).url;
    this._recordings = new Recordings({ begin, attach });
    this._change = change;
    this._announce = announce;
    this._known = this.choices; // the session's choices, or those that it would have
    this._wishes = []; // that the server has not answered yet
    this._onChange = onChange;
    this._begunWith = null; // the settings that the input was opened with
    this._state = { name: "off", words: "" };
    this._speech = new SpeechView();
    this._microphone = new Microphone({
      onChange,
      onLevel: (level) => this._strip.showLevel(level),
      onTrouble: (text) => this._strip.showTrouble(text),
    });
    this._strip = new Strip({
      theirs,
      onSettings,
      onToggle: () => this._toggle(),
      onHold: () => this._hold(),
      onRelease: () => this._microphone.release(),
      onDiscard: () => this._microphone.discard(),
      onMute: () => this._microphone.mute(!this._microphone.status.muted),
      onHangUp: () => this._hangUp(),
      onExpand: () => (this.view.isOpen ? this.view.leave({ keeps: true }) : this.view.open()),
    });
    this.view = new VoiceView({
      onEnd: () => {
        this.hangUp();
        hush();
      },
    });
    document.addEventListener("click", ({ target }) => target.closest?.(".start-voice") && this._converse());
    addEventListener("pagehide", () => this._microphone.abandon());
  }

  get isOn() {
    return this._microphone.isOn;
  }

  /** The session's settings of listening, or those that it would have. */
  get settings() {
    return listeningOf(USUAL, this._known, ...this._wishes);
  }

  /** The user's choices for a new session. Audio is saved only if that was chosen too. */
  get choices() {
    return { record: false, ...listeningChoices().read() };
  }

  /** From now on, in this session and in those that this browser begins; or why not, for the user. */
  async choose(patch) {
    this._wishes.push(patch);
    try {
      await this._change(patch);
      listeningChoices().write(listeningOf(listeningChoices().read(), patch));
      this._known = listeningOf(this._known, patch);
      return null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return asSentence(error.message);
    } finally {
      this._wishes = this._wishes.filter((wish) => wish !== patch);
      this._onChange();
    }
  }

  /** Is it this page's microphone? */
  owns(input) {
    return input !== undefined && input === this._microphone.status.input;
  }

  hangUp() {
    this._microphone.close();
  }

  /** The session is left: the next one is listened to as was chosen, and by a microphone that is switched on anew. */
  leave() {
    this.hangUp();
    this._known = this.choices;
  }

  /** The element of what is being said, or null; `does`: what the assistant does, see doing.js. */
  draw(story, does) {
    if (story.settings?.listening) this._follow(story.settings.listening);
    const { settings } = this;
    this._microphone.manual = settings.turn_detection === "manual";
    const { status } = this._microphone;
    const utterances = current(story.speech, Date.now());
    const state = stateOf(status, utterances, does);
    this._strip.show({ settings, state, status });
    if (status.phase === "off") this.view.leave();
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
    this._known = settings;
    const wanted = JSON.stringify(settings);
    if (this._microphone.status.phase !== "on") {
      this._begunWith = null;
    } else {
      if (this._begunWith !== null && this._begunWith !== wanted) this._microphone.renew();
      this._begunWith = wanted;
    }
  }

  /** Another microphone was chosen. */
  changeDevice() {
    void this._microphone.change();
  }

  _toggle() {
    if (this._microphone.isOn) this._hangUp();
    else void this._begin();
  }

  /** Voice mode, with the microphone on. */
  async _converse() {
    await this._begin();
    if (this._microphone.isOn) this.view.open();
  }

  /** The question of consent ends a hold; the button is pressed again after it. */
  _hold() {
    if (!this._microphone.isOn) void this._begin();
    if (this._microphone.isOn) this._microphone.hold();
  }

  /** Switch the microphone on; the first time the user is asked whether the audio is to be saved. */
  async _begin() {
    if (!this._isAnswered && !(await this._ask())) return;
    void this._microphone.open(this._place);
  }

  get _isAnswered() {
    return listeningChoices().read()?.record !== undefined;
  }

  /** False where the user has not answered, or the answer cannot be kept. */
  async _ask() {
    if (document.querySelector("dialog[open]")) return false;
    const record = await askForConsent();
    if (record === null) return false;
    const refused = await this.choose({ record });
    this._strip.showTrouble(refused);
    return refused === null;
  }

  _hangUp() {
    if (this.view.isOpen) {
      this.view.leave();
      return;
    }
    this._microphone.close();
    this._onChange();
    byId("microphone").hidden = false;
    byId("microphone").focus({ preventScroll: true });
  }
}
