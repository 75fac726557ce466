/** Transport, voice and volume, connection: everything round the story that can be pressed or read. */

import { byId, clockTime, isTyping, make, say, setIcon } from "./dom.js";
import { voiceOptions } from "./languages.js";

const CONNECTION_WORDS = {
  idle: "",
  connecting: "Connecting…",
  live: "Connected",
  waiting: "Reconnecting…",
  offline: "Offline",
  refused: "Not connected",
  ended: "Session over",
};

const LOST = ["waiting", "offline"];
const MOVABLE = "input, textarea, select, [tabindex]";

export class Controls {
  /** Handlers: onPause, onSkip, onBack, onStop, onUnlock, onVoice(on), onVolume(x), onSettings(patch). */
  constructor(handlers) {
    this._handlers = handlers;
    this._lost = false;
    byId("pause").addEventListener("click", () => handlers.onPause());
    byId("skip").addEventListener("click", () => handlers.onSkip());
    byId("stop").addEventListener("click", () => handlers.onStop());
    byId("unlock").addEventListener("click", () => handlers.onUnlock());
    byId("voice").addEventListener("change", ({ target }) => handlers.onVoice(target.checked));
    byId("volume").addEventListener("input", ({ target }) => handlers.onVolume(Number(target.value)));
    byId("speed").addEventListener("input", ({ target }) => this._showSpeed(Number(target.value)));
    byId("speed").addEventListener("change", ({ target }) => this._change({ speech_speed: Number(target.value) }));
    byId("voices").addEventListener("change", ({ target }) => this._change({ voice: target.value }));
    addEventListener("keydown", (event) => this._key(event));
    addEventListener("pointerdown", ({ target }) => {
      if (!byId("sound").contains(target)) byId("sound").open = false;
    });
  }

  showConnection({ state }) {
    const badge = byId("connection");
    const lost = LOST.includes(state);
    if (this._lost ? state === "live" : lost) this.announce(CONNECTION_WORDS[state]);
    if (lost || state === "live") this._lost = lost;
    badge.dataset.state = state;
    badge.lastElementChild.textContent = CONNECTION_WORDS[state];
  }

  /** `hearing`: something can be paused or skipped; `active`: or at least stopped. `time`: {ms, ofMs} or null. */
  showTransport({ hearing, active, paused, time, doing }) {
    const pause = byId("pause");
    const leaves = document.activeElement.matches(active ? "#skip, #pause" : "#transport-buttons *") && !hearing;
    if (leaves && document.activeElement.matches(":focus-visible")) byId(active ? "stop" : "text").focus();
    byId("transport-buttons").hidden = !active;
    byId("skip").hidden = !hearing;
    pause.hidden = !hearing;
    setIcon(pause, paused ? "play" : "pause");
    pause.setAttribute("aria-label", paused ? "Go on" : "Pause");
    say(byId("time"), time && `${clockTime(time.ms)} / ${clockTime(time.ofMs)}`);
    say(byId("doing"), doing);
  }

  showUnlock(needed) {
    byId("unlock").hidden = !needed;
  }

  showSound({ voice, volume }) {
    byId("voice").checked = voice;
    byId("volume").value = String(volume);
    setIcon(byId("sound-icon"), voice && volume > 0 ? "sound" : "silent");
  }

  /** Say why there is no voice at all. */
  showMute(reason) {
    byId("voice").disabled = true;
    say(byId("voice-note"), reason);
    this.showSound({ voice: false, volume: Number(byId("volume").value) });
  }

  showSettings(settings) {
    if (!settings) return;
    if (document.activeElement !== byId("speed")) byId("speed").value = String(settings.speech_speed);
    this._showSpeed(Number(byId("speed").value));
    if (byId("voices").value !== settings.voice) byId("voices").value = settings.voice;
  }

  showVoices(voices) {
    byId("voices").replaceChildren(...voiceOptions(voices));
    byId("voices-row").hidden = voices.length < 2;
  }

  showSettingsProblem(text) {
    say(byId("settings-problem"), text);
  }

  showNotice(text) {
    say(byId("notice"), text);
  }

  announce(text) {
    byId("announcer").textContent = text;
  }

  _showSpeed(speed) {
    byId("speed-value").textContent = `${speed.toFixed(1)}×`;
  }

  _closeSound() {
    const within = byId("sound").contains(document.activeElement);
    byId("sound").open = false;
    if (within) byId("sound").firstElementChild.focus();
  }

  _change(patch) {
    this.showSettingsProblem(null);
    this._handlers.onSettings(patch);
  }

  /** Esc stops wherever one is; Space and the arrows work unless they mean something where the focus is. */
  _key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    const free = !isTyping(target) && (target.id === "text" || !target.closest?.(MOVABLE));
    if (event.key === "ArrowRight" && free) this._handlers.onSkip();
    else if (event.key === "ArrowLeft" && free) this._handlers.onBack();
    else if (event.key === "Escape") {
      if (byId("sound").open) this._closeSound();
      else this._handlers.onStop();
    } else if (event.key === " " && free && !target.closest?.("button, summary, a")) {
      event.preventDefault();
      this._handlers.onPause();
    }
  }
}
