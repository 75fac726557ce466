/** One document in the list of a collection. */

import { make, say } from "../dom.js";
import { quiet } from "./furniture.js";
import { standing } from "./shelf.js";
import { t } from "../strings.js";

export class DocumentRow {
  /** `onRetry(document)` sends its file once more. */
  constructor({ remove, onOpen, onRetry }) {
    this._name = make("strong");
    this._open = make("button", { type: "button", class: "plain" }, this._name);
    this._state = make("span", { class: "about" });
    this._progress = make("progress", { max: "1", value: "0" });
    this._retry = quiet(t("Retry"));
    this.element = make("li", {}, make("div", {}, this._open, this._state, this._progress), this._retry, remove);
    this._open.addEventListener("click", () => onOpen(this._shown.view));
    this._retry.addEventListener("click", () => onRetry(this._shown));
    this._shown = null;
  }

  /** `again`: this page has its file. */
  update(document, again) {
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
    this._retry.hidden = !(again && state === "failed");
    this._retry.setAttribute("aria-label", t("Send {name} again", { name }));
  }
}
