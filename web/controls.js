/** The dock's player and what is told around it: everything that can be pressed or read, whichever place is on show. */

import { byId, clockTime, closedElsewhere, isTyping, say, setIcon } from "./dom.js";
import { voiceOptions } from "./languages.js";
import { t } from "./strings.js";

const CONNECTION_WORDS = {
  idle: "",
  connecting: t("Connecting…"),
  live: t("Connected"),
  waiting: t("Reconnecting…"),
  offline: t("Offline"),
  refused: t("Not connected"),
  ended: t("Session over"),
};

const OFFLINE = t("You are offline. The rest comes by itself when you are connected again.");
const LOST = ["waiting", "offline"];
const SETTLED = ["idle", "live"]; // whatever was told of before is over
const MOVABLE = "input, textarea, select, [tabindex]:not([tabindex='-1'])";

export class Controls {
  /**
   * Handlers: onPause, onSkip, onBack, onChapter(by), onStop, onUnlock, onSeek(ms), onVoice(on), onVolume(x),
   * onSpeed(x), onTyping(choice), onSettings(patch).
   */
  constructor(handlers) {
    this._handlers = handlers;
    this._lost = false;
    this._offline = false;
    byId("pause").addEventListener("click", () => handlers.onPause());
    byId("back").addEventListener("click", () => handlers.onBack());
    byId("skip").addEventListener("click", () => handlers.onSkip());
    byId("stop").addEventListener("click", () => handlers.onStop());
    byId("unlock").addEventListener("click", () => handlers.onUnlock());
    byId("seek").addEventListener("input", ({ target }) => this._showTime(Number(target.value), Number(target.max)));
    byId("seek").addEventListener("change", ({ target }) => handlers.onSeek(Number(target.value)));
    byId("voice").addEventListener("change", ({ target }) => handlers.onVoice(target.checked));
    byId("volume").addEventListener("input", ({ target }) => handlers.onVolume(Number(target.value)));
    byId("typing").addEventListener("change", ({ target }) => handlers.onTyping(target.value));
    byId("speed").addEventListener("change", ({ target }) => handlers.onSpeed(Number(target.value)));
    byId("voices").addEventListener("change", ({ target }) => this._change({ voice: target.value }));
    addEventListener("keydown", (event) => this._key(event));
    closedElsewhere(byId("sound"));
  }

  showConnection({ state }) {
    const badge = byId("connection");
    const lost = LOST.includes(state);
    if (this._lost ? state === "live" : lost) this.announce(CONNECTION_WORDS[state]);
    if (lost || state === "live") this._lost = lost;
    badge.dataset.state = state;
    badge.lastElementChild.textContent = CONNECTION_WORDS[state];
    this._offline = state === "offline";
    if (this._offline || SETTLED.includes(state)) this.showNotice(null);
  }

  /**
   * `hearing`: something can be paused or skipped; `active`: or at least stopped. `time`: {ms, ofMs} or null.
   * `source`: {title, href} of what is heard of another place, or null.
   */
  showTransport({ hearing, active, paused, time, doing, source }) {
    const leaves = document.activeElement.matches(active ? "#player :not(#stop)" : "#player *") && !hearing;
    if (leaves && document.activeElement.matches(":focus-visible")) byId(active ? "stop" : "text").focus();
    byId("player").hidden = !active;
    for (const id of ["back", "pause", "skip"]) byId(id).hidden = !hearing;
    setIcon(byId("pause"), paused ? "play" : "pause");
    byId("pause").setAttribute("aria-label", paused ? t("Go on") : t("Pause"));
    byId("seek").hidden = byId("time").hidden = !time;
    if (time && !byId("seek").matches(":active")) {
      byId("seek").max = String(Math.ceil(time.ofMs));
      byId("seek").value = String(Math.round(time.ms));
      this._showTime(time.ms, time.ofMs);
    }
    say(byId("doing"), doing);
    say(byId("source"), source?.title);
    if (source) byId("source").setAttribute("href", source.href);
  }

  _showTime(ms, ofMs) {
    const [now, end] = [clockTime(ms), clockTime(ofMs)];
    say(byId("time"), `${now} / ${end}`);
    const words = t("{now} of {end}", { now, end });
    if (byId("seek").getAttribute("aria-valuetext") !== words) byId("seek").setAttribute("aria-valuetext", words);
    byId("seek").style.setProperty("--heard", `${ofMs ? (100 * ms) / ofMs : 0}%`);
  }

  showUnlock(needed) {
    byId("unlock").hidden = !needed;
  }

  showSound({ voice, volume, speed, typing }) {
    byId("speed").value = String(speed);
    byId("voice").checked = voice;
    byId("volume").value = String(volume);
    byId("typing").value = typing;
    setIcon(byId("sound-icon"), voice && volume > 0 ? "sound" : "silent");
  }

  /** Say why there is no voice at all. */
  showMute(reason) {
    byId("voice").disabled = true;
    say(byId("voice-note"), reason);
    byId("voice").checked = false;
    setIcon(byId("sound-icon"), "silent");
  }

  showSettings(settings) {
    if (settings && byId("voices").value !== settings.voice) byId("voices").value = settings.voice;
  }

  showVoices(voices) {
    byId("voices").replaceChildren(...voiceOptions(voices));
    byId("voices-row").hidden = byId("settings-note").hidden = voices.length < 2;
  }

  showSettingsProblem(text) {
    say(byId("settings-problem"), text);
  }

  /** While the reader is offline, the notice says so instead: every request fails for that reason. */
  showNotice(text) {
    say(byId("notice"), this._offline ? OFFLINE : text);
  }

  announce(text) {
    byId("announcer").textContent = text;
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
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open], :popover-open, body[data-drawer]")) return;
    const { target } = event;
    const free = !isTyping(target) && (target.id === "text" || !target.closest?.(MOVABLE));
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by && free && event.shiftKey) this._handlers.onChapter(by);
    else if (by && free) this._handlers[by > 0 ? "onSkip" : "onBack"]();
    else if (event.key === "Escape") {
      if (byId("sound").open) this._closeSound();
      else this._handlers.onStop();
    } else if (event.key === " " && free && !target.closest?.("button, summary, a")) {
      event.preventDefault();
      this._handlers.onPause();
    }
  }
}
