/** A button that lets one hear the chosen voice. */

import { orElse } from "../api.js";
import { asSentence, icon, make } from "../dom.js";
import { t } from "../strings.js";

export class Preview {
  /** `wishes()` comes to {voice, provider, speed}. */
  constructor(api, wishes) {
    this._api = api;
    this._wishes = wishes;
    this._sound = null;
    this._asked = false; // the server is being asked for it
    this.button = make("button", { type: "button", class: "quiet preview" }, icon("sound"), make("span", {}, t("Listen")));
    this.button.addEventListener("click", () => (this._sound ? this.stop() : this._play()));
  }

  stop() {
    if (!this._sound) return;
    this._sound.pause();
    URL.revokeObjectURL(this._sound.src);
    this._sound = null;
    this._say(t("Listen"));
  }

  async _play() {
    if (this._asked) return; // twice at once would be two voices, one of which nobody could stop
    this._say("…");
    this._asked = true;
    const refused = ({ message }) => this._say(asSentence(message));
    await orElse(refused, async () => {
      const sound = new Audio(await this._api.preview(await this._wishes()));
      if (!this.button.checkVisibility()) {
        URL.revokeObjectURL(sound.src); // the settings were closed meanwhile
        this._say(t("Listen"));
        return;
      }
      this._sound = sound;
      sound.addEventListener("ended", () => this.stop());
      try {
        await sound.play();
        this._say(t("Stop"));
      } catch (error) {
        if (!(error instanceof DOMException)) throw error;
        this.stop();
        this._say(t("The browser does not play it."));
      }
    }).finally(() => {
      this._asked = false;
    });
  }

  _say(text) {
    this.button.lastElementChild.textContent = text;
  }
}
