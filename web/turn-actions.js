/** What can be done with an answer that is over: copy it, ask again, have it continued or read aloud. */

import { icon, make } from "./dom.js";
import { isOver } from "./story.js";

const COPIED_MS = 2_000;
const CONTINUE = "Continue exactly where you stopped.";

const button = (name, label) => make("button", { type: "button", class: "quiet" }, icon(name), label);

export class TurnActions {
  /** `onAsk({prompt} or {text})` asks for another turn; null where nobody may ask. `onProblem(text)` says what failed. */
  constructor({ onAsk, onProblem }) {
    this._copy = button("copy", "Copy");
    this._again = button("again", "Retry");
    this._further = button("plus", "Continue");
    this._aloud = button("play", "Read aloud");
    this.elements = onAsk ? [this._aloud, this._further, this._copy, this._again] : [this._copy];
    this._turn = null;
    this._copy.addEventListener("click", () => this._copied(onProblem));
    this._again.addEventListener("click", () => onAsk({ prompt: this._turn.prompt }));
    this._further.addEventListener("click", () => onAsk({ prompt: CONTINUE }));
    this._aloud.addEventListener("click", () => onAsk({ text: this._turn.text }));
  }

  /** `last`: no later turn has been asked for. */
  update(turn, { folded, last }) {
    this._turn = turn;
    const written = isOver(turn) && !folded && turn.text.trim() !== "";
    const asked = turn.kind === "prompt" && isOver(turn) && !folded;
    this._copy.hidden = !written;
    this._again.hidden = !(asked && last);
    this._further.hidden = !(asked && last && turn.cut && turn.status === "completed");
    this._aloud.hidden = !(written && turn.audioMs === 0);
  }

  async _copied(onProblem) {
    const label = this._copy.lastChild;
    try {
      await navigator.clipboard.writeText(this._turn.text);
      label.data = "Copied";
      setTimeout(() => (label.data = "Copy"), COPIED_MS);
    } catch (error) {
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
      onProblem("This browser does not let the page copy. Select the text and copy it.");
    }
  }
}
