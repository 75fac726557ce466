/** One document in the list of a collection. */

import { make, say } from "../dom.js";
import { standing } from "./shelf.js";
import { t } from "../strings.js";

export class DocumentRow {
  constructor({ remove, onOpen }) {
    this._name = make("strong");
    this._open = make("button", { type: "button", class: "plain" }, this._name);
    this._state = make("span", { class: "about" });
    this._progress = make("progress", { max: "1", value: "0" });
    this.element = make("li", {}, make("div", {}, this._open, this._state, this._progress), remove);
    this._open.addEventListener("click", () => onOpen(this._shown.view));
    this._shown = null;
  }

  update(document) {
    if (document === this._shown) return;
    this._shown = document;
    const { name, state, done, view } = document;
    this.element.dataset.state = state;
    this._open.disabled = !view;
    say(this._name, view?.title ?? name);
    const old = view && state !== "ready" ? `${t("the one before is there")} · ` : "";
    const file = view && view.name !== view.title && state === "ready" ? `${view.name} · ` : "";
    say(this._state, `${file}${old}${standing(document)}`);
    this._state.classList.toggle("problem", state === "failed");
    this._progress.hidden = state === "ready" || state === "failed";
    this._progress.value = done;
    this._progress.setAttribute("aria-label", `${name}: ${standing(document)}`);
  }
}
