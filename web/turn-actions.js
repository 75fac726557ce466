/** The actions below an answer that is over: copy it, ask again, edit the question, look at its other versions. */

import { copyBy, icon, make } from "./dom.js";
import { isOver } from "./story.js";
import { t } from "./strings.js";
import { Versions } from "./versions.js";

const CONTINUE = t("Continue exactly where you stopped.");

const button = (name, label) => make("button", { type: "button", class: "quiet" }, icon(name), label);

export class TurnActions {
  /**
   * `onAsk({prompt, replaces or continues} or {text})` asks for another turn; null where nobody may ask. `onFork(turn)` goes on in a
   * new chat that shares the events up to `at`. `onChoose(turn)` shows another version. `onProblem(text)` says what failed.
   */
  constructor({ onAsk, onFork, onChoose, onProblem }) {
    this.versions = new Versions(onChoose);
    this._copy = button("copy", t("Copy"));
    this._again = button("again", t("Retry"));
    this._further = button("plus", t("Continue"));
    this._aloud = button("play", t("Read aloud"));
    this._edit = button("edit", t("Edit"));
    this._fork = button("fork", t("Fork from here"));
    const own = [this._aloud, this._further, this._copy, this._again, this._edit, this._fork];
    this.elements = [this.versions.element, ...(onAsk ? own : [this._copy])];
    this._box = make("textarea", { rows: "3", "aria-label": t("Edit the question"), maxlength: "20000" });
    this.form = make("form", { class: "edit", hidden: "" }, this._box);
    const cancel = make("button", { type: "button", class: "quiet" }, t("Cancel"));
    this.form.append(make("button", { type: "submit", class: "button" }, t("Send")), cancel);
    cancel.addEventListener("click", () => this._editing(false));
    this._edit.addEventListener("click", () => this._editing(true));
    this.form.addEventListener("keydown", (event) => this._key(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this._ask(onAsk, { prompt: this._box.value.trim(), replaces: this._turn.id });
    });
    this._fork.addEventListener("click", () => onFork(this._turn));
    this._turn = null;
    this._latest = null;
    this._asking = false;
    this._copy.addEventListener("click", () => this._copied(onProblem));
    this._again.addEventListener("click", () => this._ask(onAsk, { prompt: this._turn.prompt, replaces: this._turn.id }));
    this._further.addEventListener("click", () => this._ask(onAsk, { prompt: CONTINUE, continues: this._latest }));
    this._aloud.addEventListener("click", () => onAsk({ text: this._turn.text }));
  }

  /**
   * `last`: no later turn has been asked for. `counts`: none of its other `versions` does. `idle`: none is answered now.
   * `latest`: the latest turn of an answer that was continued.
   */
  update(turn, { folded, last, counts, idle, versions, latest }) {
    this._turn = turn;
    this._latest = latest;
    const written = isOver(turn) && !folded && turn.text.trim() !== "";
    const asked = turn.kind === "prompt" && isOver(turn) && !folded && counts;
    this.versions.update(versions, turn.id);
    this._copy.hidden = !written;
    this._again.hidden = !(asked && last);
    this._further.hidden = !(asked && last && turn.cut && turn.status === "completed");
    this._aloud.hidden = !(written && counts && turn.audioMs === 0);
    this._edit.hidden = !(asked && idle);
    this._fork.hidden = !isOver(turn) || folded;
  }

  /** Another version of the question, or more of its answer; what was typed stays until it is accepted. */
  async _ask(onAsk, request) {
    if (!request.prompt || this._asking) return;
    this._asking = true;
    await onAsk(request);
    this._asking = false;
  }

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
