/** A button that lets one hear the chosen voice. */

import { orElse } from "../api.js";
import { asSentence, icon, make } from "../dom.js";

export class Preview {
  /** `wishes()` comes to {voice, provider, speed}. */
  constructor(api, wishes) {
    this._api = api;
    this._wishes = wishes;
    this._sound = null;
    this.button = make("button", { type: "button", class: "quiet preview" }, icon("sound"), make("span", {}, "Listen"));
    this.button.addEventListener("click", () => (this._sound ? this.stop() : this._play()));
  }

  stop() {
    if (!this._sound) return;
    this._sound.pause();
    URL.revokeObjectURL(this._sound.src);
    this._sound = null;
    this._say("Listen");
  }

  async _play() {
    this._say("…");
    const refused = ({ message }) => this._say(asSentence(message));
    await orElse(refused, async () => {
      const sound = new Audio(await this._api.preview(await this._wishes()));
      this._sound = sound;
      sound.addEventListener("ended", () => this.stop());
      try {
        await sound.play();
        this._say("Stop");
      } catch (error) {
        if (!(error instanceof DOMException)) throw error;
        this.stop();
        this._say("The browser does not play it.");
      }
    });
  }

  _say(text) {
    this.button.lastElementChild.textContent = text;
  }
}
