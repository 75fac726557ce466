/** All turns on the page; keeps the old ones folded and the place being heard in sight. */

import { byId } from "./dom.js";
import { TurnView } from "./turn-view.js";

const UNFOLDED = 8; // the latest turns; older ones are a line each until somebody wants them
const OWN_SCROLL_MS = 700;

export class StoryView {
  constructor({ onReplay, link }) {
    this._root = byId("story");
    this._handlers = { onReplay, link };
    this._views = new Map();
    this._wanted = new Set(); // old turns that were unfolded by hand
    this._lit = null;
    this._follow = new Follow();
  }

  /** `heard` is {turn, ms} or null. */
  update(story, heard) {
    story.order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._add(story.turns[id]);
      const recent = number >= story.order.length - UNFOLDED;
      view.update(story.turns[id], !recent && !this._wanted.has(id) && heard?.turn !== id);
    });
    const lit = heard ? (this._views.get(heard.turn) ?? null) : null;
    if (this._lit !== lit) this._lit?.light(null);
    this._lit = lit;
    const spoken = lit?.light(heard.ms) ?? null;
    this._follow.to(spoken ?? lit?.element ?? null, this._views.get(story.order.at(-1))?.prose ?? null);
  }

  _add(turn) {
    const onUnfold = () => {
      this._wanted.add(turn.id);
      this._views.get(turn.id).update(turn, false);
    };
    const view = new TurnView(turn, { ...this._handlers, onUnfold });
    this._views.set(turn.id, view);
    this._root.append(view.element);
    this._follow.resume();
    return view;
  }
}

/** Scrolls along with the voice (or, in silence, with the growing text) until the reader scrolls away. */
class Follow {
  constructor() {
    this._button = byId("follow");
    this._target = null;
    this._away = false;
    this._scrolledAt = -Infinity;
    this._height = 0;
    this._button.addEventListener("click", () => this.resume());
    addEventListener("scroll", () => this._scrolled(), { passive: true });
  }

  resume() {
    this._away = false;
    this._target = null;
    this._height = 0;
  }

  to(spoken, growing) {
    this._button.hidden = !(this._away && spoken);
    if (this._away) return;
    if (spoken) this._showSpoken(spoken);
    else if (growing) this._showEnd(growing);
  }

  _showSpoken(element) {
    if (element === this._target) return;
    this._target = element;
    const { top, bottom } = element.getBoundingClientRect();
    if (top > innerHeight * 0.15 && bottom < innerHeight * 0.6) return;
    this._scroll(scrollY + top - innerHeight * 0.3);
  }

  _showEnd(element) {
    this._target = null;
    const { bottom } = element.getBoundingClientRect();
    const grown = element.scrollHeight !== this._height;
    this._height = element.scrollHeight;
    if (grown && bottom > innerHeight * 0.66) this._scroll(scrollY + bottom - innerHeight * 0.62);
  }

  _scroll(top) {
    this._scrolledAt = performance.now();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollTo({ top, behavior: calm ? "instant" : "smooth" });
  }

  /** A scroll that we did not start is the reader's; coming back to the voice counts as following again. */
  _scrolled() {
    if (performance.now() - this._scrolledAt < OWN_SCROLL_MS) return;
    const { top, bottom } = this._target?.getBoundingClientRect() ?? { top: 0, bottom: 0 };
    this._away = this._target !== null && (bottom < 0 || top > innerHeight);
  }
}
