/** Below a scene: having it read out, how far that is, and what went wrong with it. The sound itself is the player's. */

import { asSentence, icon, make, say } from "../dom.js";
import { refusalOf } from "../refusals.js";
import { t } from "../strings.js";

const button = (name, look, ...content) => make("button", { type: "button", class: look, title: name }, ...content);

export class SceneBar {
  /** Handlers: onNarrate(again), onCancel. `elements` stand with what can be done with the scene. */
  constructor({ onNarrate, onCancel }) {
    this._making = make("span", { class: "state" });
    this._cancel = button(t("Stop reading it out"), "quiet cancel", t("Cancel"));
    this._narrate = button(t("Have it read out"), "quiet narrate", icon("sound"), make("span"));
    this.elements = [this._narrate, this._making, this._cancel];
    this._problem = make("p", { class: "problem" });
    this._retry = button(t("Try again"), "quiet retry", icon("again"), t("Retry"));
    this.trouble = make("div", { class: "trouble", role: "alert" }, this._problem, this._retry);
    this._cancel.addEventListener("click", onCancel);
    this._narrate.addEventListener("click", () => onNarrate(this._has));
    this._retry.addEventListener("click", () => onNarrate(true));
  }

  /** `total`: pieces, or null; `asking`: the server is being asked; `over`: the scene is written. */
  update({ sound, over, hasText, total, asking, problem, folded }) {
    const { state } = sound;
    this._has = state === "ready" || sound.made > 0;
    const reading = state === "making" && over && !folded;
    say(this._making, reading || asking ? making(sound, total, asking) : null);
    this._cancel.hidden = !(reading && sound.session);
    this._narrate.hidden = folded || !over || !hasText || asking || state === "making" || state === "failed";
    const label = this._has ? t("Regenerate audio") : t("Read aloud");
    if (this._narrate.lastElementChild.textContent !== label) this._narrate.lastElementChild.textContent = label;
    const trouble = problem ?? (sound.error && `${t("It could not be read out.")} ${asSentence(refusalOf(sound.error))}`);
    say(this._problem, trouble);
    this.trouble.hidden = folded || !trouble;
    this._retry.hidden = !over || asking;
  }
}

function making({ made }, total, asking) {
  if (asking) return t("Asking…");
  return total ? t("{made} of {total} sentences read", { made, total: Math.max(made, total) }) : t("Being read…");
}
