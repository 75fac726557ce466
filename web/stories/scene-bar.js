/** Below a scene: play or pause, how far it is, and what went wrong with reading it out. The player does the rest. */

import { asSentence, clockTime, icon, make, say, setIcon } from "../dom.js";
import { t } from "../strings.js";

const button = (name, look, ...content) => make("button", { type: "button", class: look, title: name }, ...content);

export class SceneBar {
  /** Handlers: onPlay, onNarrate(again), onCancel. */
  constructor(number, handlers) {
    this._number = number;
    this.play = button(t("Play"), "icon play", icon("play"));
    this.heard = make("i");
    this.made = make("b");
    this.track = make("div", { class: "track", role: "progressbar", "aria-valuemin": "0" }, this.made, this.heard);
    this.time = make("span", { class: "time" });
    this.making = make("span", { class: "making" });
    this.cancel = button(t("Stop reading it out"), "quiet cancel", t("Cancel"));
    this.narrate = button(t("Have it read out"), "quiet narrate", icon("again"), make("span"));
    this.problem = make("p", { class: "problem" });
    this.retry = button(t("Try again"), "quiet retry", icon("again"), t("Retry"));
    this.trouble = make("div", { class: "trouble", role: "alert" }, this.problem, this.retry);
    const row = [this.play, this.track, this.time, this.making, this.cancel, this.narrate];
    const group = make("div", { class: "scene-bar", role: "group", "aria-label": t("Scene {number}, voice", { number }) }, ...row);
    this.element = make("div", {}, group, this.trouble);
    this._group = group;
    this._listen(handlers);
  }

  _listen({ onPlay, onNarrate, onCancel }) {
    this.play.addEventListener("click", onPlay);
    this.cancel.addEventListener("click", onCancel);
    this.narrate.addEventListener("click", () => onNarrate(this._has));
    this.retry.addEventListener("click", () => onNarrate(true));
  }

  /** `heardMs`: null unless this scene is heard; `total`: pieces, or null; `asking`: the server is being asked. */
  update({ sound, over, hasText, heardMs, paused, total, asking, problem }) {
    const heard = heardMs !== null;
    const { state, ms } = sound;
    this._has = state === "ready" || sound.made > 0;
    this.play.hidden = ms === 0 && !heard;
    setIcon(this.play, heard && !paused ? "pause" : "play");
    const which = { number: this._number };
    const playLabel = heard && !paused ? t("Pause scene {number}", which) : t("Play scene {number}", which);
    this.play.setAttribute("aria-label", playLabel);
    this._progress(heardMs ?? 0, ms, sound, total);
    const reading = state === "making" && over;
    say(this.making, reading || asking ? making(sound, total, asking) : null);
    this.cancel.hidden = !(reading && sound.session);
    this.narrate.hidden = !over || !hasText || asking || state === "making" || state === "failed";
    const label = this._has ? t("Regenerate audio") : t("Read aloud");
    if (this.narrate.lastElementChild.textContent !== label) this.narrate.lastElementChild.textContent = label;
    setIcon(this.narrate, this._has ? "again" : "sound");
    this._group.hidden = [this.play, this.making, this.narrate].every((part) => part.hidden);
    const trouble = problem ?? (sound.error && `${t("It could not be read out.")} ${asSentence(sound.error.message)}`);
    say(this.problem, trouble);
    this.trouble.hidden = !trouble;
    this.retry.hidden = !over || asking;
  }

  _progress(heardMs, ms, { state, made }, total) {
    this.track.hidden = ms === 0;
    const making = state === "making" && total > 0;
    const whole = making ? Math.max(ms, (ms * total) / Math.max(1, made)) : ms;
    const share = (part) => `${whole ? Math.min(100, (100 * part) / whole).toFixed(1) : 0}%`;
    this.heard.style.width = share(heardMs);
    this.made.style.width = share(ms);
    const seconds = Math.floor(heardMs / 1000);
    if (this.track.getAttribute("aria-valuenow") !== String(seconds)) {
      this.track.setAttribute("aria-valuenow", String(seconds));
      this.track.setAttribute("aria-valuetext", t("{now} of {end} heard", { now: clockTime(heardMs), end: clockTime(ms) }));
    }
    this.track.setAttribute("aria-valuemax", String(Math.ceil(ms / 1000)));
    this.track.setAttribute("aria-label", t("Heard"));
    say(this.time, ms ? `${heardMs > 0 ? `${clockTime(heardMs)} / ` : ""}${clockTime(ms)}` : null);
  }
}

function making({ made }, total, asking) {
  if (asking) return t("Asking…");
  return total ? t("{made} of {total} sentences read", { made, total: Math.max(made, total) }) : t("Being read…");
}
