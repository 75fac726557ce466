/** The chapters of the story that is heard, above the player: which one it is, all of them, and the way to the next. */

import { byId, clockTime, closedElsewhere, make, say } from "./dom.js";
import { counted, t } from "./strings.js";

export class ChaptersView {
  /** `onChapter(scene)`: to this one; `onStep(by)`: to the next one (1) or back (-1). */
  constructor({ onChapter, onStep }) {
    this._onChapter = onChapter;
    this._box = byId("chapters");
    this._choice = this._box.querySelector("details");
    this._shown = "";
    byId("previous-chapter").addEventListener("click", () => onStep(-1));
    byId("next-chapter").addEventListener("click", () => onStep(1));
    this._choice.addEventListener("keydown", (event) => this._key(event));
    closedElsewhere(this._choice);
  }

  /** `now`: as `Chapters.now` returns it; null: there are none. */
  show(now) {
    this._box.hidden = !now;
    if (!now) {
      this._choice.open = false;
      this._shown = "";
      byId("marks").replaceChildren();
      return;
    }
    const { list, current } = now;
    say(byId("chapter"), current ? titleOf(current, list.length) : counted(list.length, "{count} scene", "{count} scenes"));
    const heard = current ? list.indexOf(current) : -1;
    byId("previous-chapter").hidden = byId("next-chapter").hidden = !current;
    byId("next-chapter").disabled = !list.slice(heard + 1).some(({ ms }) => ms > 0);
    const shown = JSON.stringify([heard, list.map(({ scene, ms }) => [scene, Math.round(ms / 1_000)])]);
    if (shown === this._shown) return;
    this._shown = shown;
    this._choice.querySelector("ol").replaceChildren(...list.map((chapter) => this._item(chapter, chapter === current)));
    byId("marks").replaceChildren(...list.filter(({ ms, atMs }) => ms > 0 && atMs > 0).map(({ atMs }) => make("option", { value: String(atMs) })));
  }

  _item(chapter, isHeard) {
    const { scene, ms } = chapter;
    const length = make("span", { class: "about" }, ms > 0 ? clockTime(ms) : t("Not read aloud yet"));
    const button = make("button", { type: "button", class: "quiet" }, make("span", {}, titleOf(chapter)), length);
    if (isHeard) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      this._close();
      this._onChapter(scene);
    });
    return make("li", {}, button);
  }

  _key(event) {
    if (event.key !== "Escape" || !this._choice.open) return;
    event.stopPropagation();
    this._close();
  }

  _close() {
    this._choice.open = false;
    this._choice.firstElementChild.focus();
  }
}

/** "Scene 2: The fox knocks", or "Scene 2 of 5: The fox knocks". */
export function titleOf({ number, name }, count) {
  const scene = count ? t("Scene {number} of {count}", { number, count }) : t("Scene {number}", { number });
  return name ? `${scene}: ${name}` : scene;
}
