/** One scene on the page: its text under the light of the voice, and its bar. */

import { make } from "../dom.js";
import { isOver } from "../story.js";
import { TurnView } from "../turn-view.js";
import { directionOf } from "./chapters.js";
import { SceneBar } from "./scene-bar.js";
import { SceneChanges } from "./scene-changes.js";
import { readOut } from "./sound.js";
import { t } from "../strings.js";

export class SceneView {
  /**
   * Handlers, all with the scene's turn: onReplay, onNarrate(again), onCancel, onWrite(direction), onText(text, parts),
   * onVoices(parts), onUnfold; and `link`, `voices()`.
   */
  constructor(scene, number, { link, voices, ...handlers }) {
    const call = (name) => (...rest) => handlers[name](scene.id, ...rest);
    this._link = link;
    this._turn = scene.id;
    this.text = new TurnView(scene, {
      onReplay: call("onReplay"),
      onUnfold: call("onUnfold"),
      link: (path, query) => link(null, path, query),
    });
    this.element = this.text.element;
    this.element.id = `scene-${number}`;
    this.element.tabIndex = -1;
    this.element.classList.add("scene");
    this.badge = make("span", { class: "badge" }, t("New"));
    this.element.prepend(make("p", { class: "scene-number" }, t("Scene {number}", { number }), this.badge));
    this.text.prompt.textContent = directionOf(scene);
    this.bar = new SceneBar({ onNarrate: call("onNarrate"), onCancel: call("onCancel") });
    const [onWrite, onText, onVoices] = ["onWrite", "onText", "onVoices"].map(call);
    this.changes = new SceneChanges({ onWrite, onText, onVoices, voices });
    this.text.replay.after(...this.bar.elements, ...this.changes.elements);
    this.text.problem.after(this.changes.problem, this.bar.trouble);
    this.text.footer.after(this.changes.form);
    this._seen = null;
    this._shown = null;
    this._source = null;
  }

  /** `now`: {sound, total, asking, problem, fresh, folded}. */
  update(scene, now) {
    const seen = this._seen;
    if (seen && seen.scene === scene && Object.keys(now).every((key) => same(seen.now[key], now[key]))) return;
    if (!seen || seen.scene !== scene || seen.now.sound.reading !== now.sound.reading) this._read(scene, now.sound);
    this._seen = { scene, now };
    this.text.update(this._shown, now.folded);
    this.badge.hidden = !now.fresh;
    this.changes.update(scene, now);
    this.text.replay.hidden = now.sound.ms === 0;
    this.text.keep.hidden = !(isOver(scene) && now.sound.state === "ready");
    this.bar.update({ over: isOver(scene), hasText: scene.text.trim() !== "", ...now });
    this.text.showFooter();
  }

  /** The light, as `TurnView.light`. */
  light(ms) {
    return this.text.light(ms);
  }

  get prose() {
    return this.text.prose;
  }

  _read(scene, sound) {
    const source = sound.reading === scene ? "own" : `${sound.session}:${Boolean(sound.reading)}`;
    if (this._source !== source) {
      if (this._source !== null) this.text.recut();
      this._source = source;
      for (const anchor of this.text.keep.querySelectorAll("a")) {
        const { pathname, search } = new URL(anchor.href);
        const rest = pathname.slice(pathname.search(/\/(audio|captions)/));
        const query = Object.fromEntries(new URLSearchParams(search));
        anchor.href = this._link(sound.session, rest, { ...query, turn: sound.turn });
      }
    }
    this._shown = readOut(scene, sound);
  }
}

const same = (left, right) =>
  left === right ||
  (left && right && typeof left === "object" && Object.keys(left).every((key) => left[key] === right[key]));
