/** The microphone's button, and the strip that says what it does: both voices, the state in words, and its buttons. */

import { byId, isTyping, say, setIcon } from "../dom.js";
import { t } from "../strings.js";
import { Wave } from "../voice/wave.js";

const METER_STEPS = 20; // told to a screen reader; the eye sees every frame

/** Handlers: onToggle, onHold, onRelease, onDiscard, onMute, onHangUp, onExpand, onSettings. `theirs()`: the assistant's level. */
export class Strip {
  constructor({ theirs, ...handlers }) {
    this._handlers = handlers;
    this._button = byId("microphone");
    this._manual = false;
    this._holding = false;
    this._mine = 0;
    this._level = byId("level");
    this._wave = new Wave(byId("wave"), () => ({ mine: this._mine, theirs: theirs() }));
    this._bindHold();
    this._bindSpace();
    this._button.addEventListener("click", (event) => this._click(event));
    byId("mute").addEventListener("click", () => handlers.onMute());
    byId("hang-up").addEventListener("click", () => handlers.onHangUp());
    byId("expand").addEventListener("click", () => handlers.onExpand());
    byId("voice-options").addEventListener("click", () => handlers.onSettings());
  }

  /** `settings`: how the session listens; `state`: of state.js; `status`: of the microphone. */
  show({ settings, state, status }) {
    const isOn = status.phase !== "off";
    this._manual = settings.turn_detection === "manual";
    this._holding = status.holding;
    byId("voice-bar").hidden = !isOn;
    this._wave.run(isOn);
    byId("voice-bar").dataset.state = state.name;
    say(byId("voice-state"), state.words);
    byId("recorded").hidden = !isOn || !settings.record;
    byId("mute").hidden = this._manual;
    byId("mute").setAttribute("aria-pressed", String(status.muted));
    setIcon(byId("mute"), status.muted ? "muted" : "microphone");
    this._showButton(isOn, state);
  }

  /** While it listens by itself, the strip's own button ends it. */
  _showButton(isOn, state) {
    const leaves = isOn && !this._manual;
    if (leaves && document.activeElement === this._button) byId("mute").focus({ preventScroll: true });
    this._button.hidden = leaves;
    byId("start-voice").hidden = isOn;
    const name = this._manual ? t("Hold to talk") : t("Talk");
    if (this._button.ariaLabel !== name) this._button.ariaLabel = this._button.title = name;
    this._button.setAttribute("aria-pressed", String(this._manual && this._holding));
    this._button.dataset.state = state.name;
  }

  showLevel(level) {
    this._mine = level;
    const told = String(Math.round(level * METER_STEPS) * (100 / METER_STEPS));
    if (this._level.ariaValueNow !== told) this._level.ariaValueNow = told;
  }

  showTrouble(text) {
    say(byId("voice-trouble"), text);
  }

  /** A user who cannot hold a button, as with a screen reader, presses it once to begin and once to end. */
  _click({ detail }) {
    if (!this._manual) this._handlers.onToggle();
    else if (detail === 0 && this._holding) this._handlers.onRelease();
    else if (detail === 0) this._handlers.onHold();
  }

  /** In voice mode the space bar is the button to hold, wherever the focus is, unless a character is meant. */
  _bindSpace() {
    const means = ({ key, target }) => {
      if (key !== " " || !this._manual || !("voice" in document.body.dataset)) return false;
      return target !== this._button && !isTyping(target) && !document.querySelector("dialog[open]");
    };
    const bind = (type, act) =>
      addEventListener(type, (event) => means(event) && (event.preventDefault(), act(event)), true);
    bind("keydown", ({ repeat }) => repeat || this._handlers.onHold());
    bind("keyup", () => this._handlers.onRelease());
  }

  _bindHold() {
    const button = this._button;
    const { onHold, onRelease, onDiscard } = this._handlers;
    const isKey = ({ key }) => this._manual && (key === " " || key === "Enter");
    button.addEventListener("pointerdown", (event) => {
      if (!this._manual || event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      onHold();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, onRelease);
    button.addEventListener("keydown", (event) => {
      if (!isKey(event)) return;
      event.preventDefault();
      if (!event.repeat) onHold();
    });
    button.addEventListener("keyup", (event) => {
      if (!isKey(event)) return;
      event.preventDefault();
      onRelease();
    });
    button.addEventListener("contextmenu", (event) => this._manual && event.preventDefault()); // of a long touch
    button.addEventListener("blur", onRelease);
    addEventListener("blur", onRelease);
    const escape = (event) => {
      if (event.key !== "Escape" || !this._holding) return;
      event.stopImmediatePropagation(); // it is not the voice that is meant
      onDiscard();
    };
    addEventListener("keydown", escape, true);
  }
}
