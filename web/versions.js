/** The versions of one question and its answer: which one is on show, and the way to the one before or after it. */

import { icon, make } from "./dom.js";
import { t } from "./strings.js";

export class Versions {
  /** `onChoose(turn)`: this one is to be on show. */
  constructor(onChoose) {
    this._count = make("span", { class: "count" });
    this._steps = [[-1, t("Previous version")], [1, t("Next version")]].map(([step, label]) => {
      const button = make("button", { type: "button", class: "quiet", "aria-label": label }, icon("chevron"));
      button.addEventListener("click", () => onChoose(this._all[this._all.indexOf(this._shown) + step], step));
      return { step, button };
    });
    const [before, after] = this._steps.map(({ button }) => button);
    this.element = make("span", { class: "versions", role: "group", "aria-label": t("Versions"), hidden: "" }, before, this._count, after);
    this._all = [];
    this._shown = null;
  }

  /** `all`: the versions as turns, oldest first; `shown`: that of them which is on show. */
  update(all, shown) {
    if (shown === this._shown && all.length === this._all.length) return;
    this._all = all;
    this._shown = shown;
    this.element.hidden = all.length < 2;
    const number = all.indexOf(shown) + 1;
    const spoken = t("Version {number} of {count}", { number, count: all.length });
    this._count.textContent = `${number}/${all.length}`;
    for (const { step, button } of this._steps) {
      button.disabled = all[number - 1 + step] === undefined;
      button.setAttribute("aria-description", spoken);
    }
  }

  /** The button of `step`, or the other one where there is no further version. */
  focus(step) {
    const [first, second] = this._steps.toSorted((one) => (one.step === step ? -1 : 1));
    (first.button.disabled ? second : first).button.focus({ preventScroll: true });
  }
}
