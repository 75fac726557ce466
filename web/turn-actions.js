/** What can be done with an answer that is over: copy it, ask again, edit the question, continue it in two ways. */

import { copyBy, icon, make } from "./dom.js";
import { isOver } from "./story.js";
import { t } from "./strings.js";

const CONTINUE = t("Continue exactly where you stopped.");

const button = (name, label) => make("button", { type: "button", class: "quiet" }, icon(name), label);

export class TurnActions {
  /**
   * `onAsk({prompt} or {text})` asks for another turn; null where nobody may ask. `onFork({at, prompt})` goes on in a
   * new chat that shares the events up to `at`. `onProblem(text)` says what failed.
   */
  constructor({ onAsk, onFork, onProblem }) {
    this._copy = button("copy", t("Copy"));
    this._again = button("again", t("Retry"));
    this._further = button("plus", t("Continue"));
    this._aloud = button("play", t("Read aloud"));
    this._edit = button("edit", t("Edit"));
    this._fork = button("fork", t("Fork from here"));
    const own = [this._aloud, this._further, this._copy, this._again, this._edit, this._fork];
    this.elements = onAsk ? own : [this._copy];
    this._box = make("textarea", { rows: "3", "aria-label": t("Edit the question"), maxlength: "20000" });
    this.form = make("form", { class: "edit", hidden: "" }, this._box);
    const cancel = make("button", { type: "button", class: "quiet" }, t("Cancel"));
    this.form.append(make("button", { type: "submit", class: "button" }, t("Ask in a new chat")), cancel);
    cancel.addEventListener("click", () => this._editing(false));
    this._edit.addEventListener("click", () => this._editing(true));
    this.form.addEventListener("keydown", (event) => this._key(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const prompt = this._box.value.trim();
      if (prompt) onFork({ at: this._turn.id - 1, prompt });
    });
    this._fork.addEventListener("click", () => onFork({ at: this._turn.endSeq }));
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
    this._edit.hidden = !asked;
    this._fork.hidden = !isOver(turn) || folded;
  }

  /** The question as it was stays in its chat: the changed one is asked in a chat that begins alike. */
  _editing(open) {
    this.form.hidden = !open;
    if (!open) {
      this._edit.focus();
      return;
    }
    this._box.value = this._turn.prompt;
    this._box.focus();
  }

  _key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this._editing(false);
    }
  }

  async _copied(onProblem) {
    const done = await copyBy(this._copy.lastChild, this._turn.text);
    if (!done) onProblem(t("This browser does not let the page copy. Select the text and copy it."));
  }
}
