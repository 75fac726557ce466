/** The microphone's button, and the strip that says what it does: how loud it is, and how to be rid of it. */

import { byId, say, setIcon } from "../dom.js";

const METER_STEPS = 20; // what a screen reader is told; the eye sees every frame

/** Handlers: onToggle, onHold, onRelease, onDiscard, onMute, onHangUp, onSettings(patch). */
export class Strip {
  constructor(handlers) {
    this._handlers = handlers;
    this._button = byId("microphone");
    this._manual = false;
    this._holding = false;
    this._level = byId("level");
    this._bindHold();
    this._button.addEventListener("click", (event) => this._click(event));
    byId("mute").addEventListener("click", () => handlers.onMute());
    byId("hang-up").addEventListener("click", () => handlers.onHangUp());
    byId("manual").addEventListener("change", ({ target }) =>
      handlers.onSettings({ turn_detection: target.checked ? "manual" : "vad" }),
    );
    byId("record").addEventListener("change", ({ target }) => handlers.onSettings({ record: target.checked }));
    const options = byId("ear-options");
    addEventListener("pointerdown", ({ target }) => !options.contains(target) && (options.open = false));
    options.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !options.open) return;
      event.stopPropagation();
      options.open = false;
      options.firstElementChild.focus();
    });
  }

  /** `settings`: how the session listens; `state`: of state.js; `ear`: of the microphone. */
  show({ settings, state, ear }) {
    const isOn = ear.phase !== "off";
    this._manual = settings.turn_detection === "manual";
    this._holding = ear.holding;
    byId("ear").hidden = !isOn;
    byId("ear").dataset.state = state.name;
    say(byId("ear-state"), state.words);
    byId("recorded").hidden = !isOn || !settings.record;
    byId("manual").checked = this._manual;
    byId("record").checked = settings.record;
    byId("mute").hidden = this._manual;
    byId("mute").setAttribute("aria-pressed", String(ear.muted));
    setIcon(byId("mute"), ear.muted ? "deaf" : "microphone");
    const name = this._manual ? "Hold to talk" : isOn ? "Stop listening" : "Talk";
    if (this._button.ariaLabel !== name) this._button.ariaLabel = this._button.title = name;
    this._button.setAttribute("aria-pressed", String(this._manual ? ear.holding : isOn));
    this._button.dataset.state = state.name;
  }

  showLevel(level) {
    this._level.style.setProperty("--level", level.toFixed(3));
    const told = String(Math.round(level * METER_STEPS) * (100 / METER_STEPS));
    if (this._level.ariaValueNow !== told) this._level.ariaValueNow = told;
  }

  showTrouble(text) {
    say(byId("ear-trouble"), text);
  }

  /** Whoever cannot hold a button, such as a screen reader, presses it once to begin and once to end. */
  _click({ detail }) {
    if (!this._manual) this._handlers.onToggle();
    else if (detail === 0 && this._holding) this._handlers.onRelease();
    else if (detail === 0) this._handlers.onHold();
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
