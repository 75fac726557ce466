/** The turns on the page in their order; keeps the old ones folded and the place being heard in sight. */

import { byId } from "./dom.js";
import { Follow } from "./follow.js";

const LIVE_WORDS = ".coming :is(.firm, .loose):not(:empty)"; // the reader's, perhaps over an answer
const UNFOLDED = 8; // the latest turns; older ones are a line each until somebody wants them

export class TurnViews {
  constructor() {
    this._views = new Map();
    this._wanted = new Set(); // old turns that were unfolded by hand
    this._lit = null;
    this._newest = 0;
    this._follow = new Follow();
  }

  /** The view of a turn, or null. */
  get(id) {
    return this._views.get(id) ?? null;
  }

  /** `number`: its place among the turns. A new question is scrolled to; an older version moves nothing. */
  add(id, view, number) {
    this._views.set(id, view);
    byId("story").insertBefore(view.element, byId("story").children[number] ?? null);
    if (id > this._newest) this._follow.resume();
    this._newest = Math.max(id, this._newest);
    return view;
  }

  /** Only those of `order` stay: another turn may have taken the place of one. Returns the one that had the focus, or null. */
  keep(order) {
    const wanted = new Set(order);
    let left = null;
    for (const [id, view] of this._views) {
      if (wanted.has(id)) continue;
      if (view.element.contains(document.activeElement)) left = id;
      view.element.remove();
      this._views.delete(id);
    }
    return left;
  }

  unfold(id) {
    this._wanted.add(id);
  }

  /** Whether only the beginning of turn `order[number]` is on the page; what is `heard` is there whole. */
  isFolded(order, number, heard) {
    const id = order[number];
    return number < order.length - UNFOLDED && !this._wanted.has(id) && heard !== id;
  }

  /** Put the light on `heard`, {turn, ms} or null. `growing`: what is scrolled to in silence; null: the latest turn. */
  light(heard, order, growing = null) {
    const lit = heard ? this.get(heard.turn) : null;
    if (this._lit !== lit) this._lit?.light(null);
    this._lit = lit;
    const spoken = lit?.light(heard.ms) ?? null;
    const isSaid = growing && "voice" in document.body.dataset && (!heard || growing.querySelector(LIVE_WORDS));
    if (isSaid) this._follow.toSpeech(growing);
    else this._follow.to(spoken ?? lit?.element ?? null, growing ?? this.get(order.at(-1))?.prose ?? null);
  }
}
