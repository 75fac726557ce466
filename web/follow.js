/** Keeps the place that is being heard, or written, in sight. */

import { byId, setIcon } from "./dom.js";

const OWN_SCROLL_MS = 700;
const BY_HAND_MS = 1_000; // after a movement of the reader's hand the page does not scroll by itself: its own scroll may be on the way
const SCROLLS = /^(PageUp|PageDown|Home|End|ArrowUp|ArrowDown)$/;

let shown = null; // of the place that was drawn last; those of places that were left are forgotten
addEventListener("scroll", () => shown?._scrolled(), { passive: true });
for (const gesture of ["wheel", "touchmove"]) addEventListener(gesture, () => shown?._touched(), { passive: true });
addEventListener("keydown", ({ key, target }) => SCROLLS.test(key) && !target.closest?.("input, textarea, select") && shown?._touched());
addEventListener("pointerdown", ({ target }) => target === document.documentElement && shown?._touched()); // the scroll bar
byId("follow").addEventListener("click", () => shown?.resume());

/** Scrolls along with the voice (or, in silence, with the growing text) until the reader scrolls away. */
export class Follow {
  constructor() {
    this._button = byId("follow");
    this._target = null;
    this._away = false;
    this._wanted = () => null; // the place to scroll to; null: the followed sentence is in sight
    this._scrolledAt = -Infinity;
    this._byHandAt = -Infinity;
    this._byHand = false; // scrolls are the reader's, until the page scrolls by itself
    this._height = 0;
    this._liveHeight = 0;
  }

  resume() {
    this._away = this._byHand = false;
    this._byHandAt = -Infinity;
    this._target = null;
    this._height = 0;
  }

  /** Shows `element`, the end of the page, with what is being said: voice mode has a dock over half of the window. */
  toSpeech(element) {
    shown = this;
    this._button.hidden = true;
    this._target = null;
    this._wanted = () => document.documentElement.scrollHeight;
    const grown = element.scrollHeight !== this._liveHeight;
    this._liveHeight = element.scrollHeight;
    if (grown && !this._holds) this._scroll();
  }

  to(spoken, growing) {
    shown = this;
    this._liveHeight = 0;
    this._wanted = () => (spoken ? topOfSpoken(spoken) : growing ? topOfEnd(growing) : null);
    this._button.hidden = !(this._away && spoken);
    if (!this._button.hidden) {
      this._target = spoken; // a sentence that grows is drawn anew
      setIcon(this._button, spoken.getBoundingClientRect().top < 0 ? "up" : "down");
    }
    if (this._holds || !byId("refusal").hidden) return; // a refusal stays in sight
    if (spoken) this._showSpoken(spoken);
    else if (growing) this._showEnd(growing);
  }

  _showSpoken(element) {
    if (element === this._target) return;
    this._target = element;
    this._scroll();
  }

  _showEnd(element) {
    this._target = null;
    const grown = element.scrollHeight !== this._height;
    this._height = element.scrollHeight;
    if (grown) this._scroll();
  }

  _scroll() {
    const top = this._wanted();
    if (top === null) return;
    this._scrolledAt = performance.now();
    this._byHand = false;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollTo({ top, behavior: calm ? "instant" : "smooth" });
  }

  _touched() {
    this._byHandAt = performance.now();
    this._byHand = true;
  }

  /** The page stays where the reader has it. */
  get _holds() {
    return this._away || performance.now() - this._byHandAt < BY_HAND_MS;
  }

  /**
   * Scrolled by hand, the page stays where the reader wants it until what is followed stands where the page would show it.
   * A scroll that a script or a tool starts leaves what is spoken only where that is out of sight.
   */
  _scrolled() {
    if (this._byHand) {
      const last = document.documentElement.scrollHeight - innerHeight;
      const top = this._wanted();
      this._away = top !== null && Math.abs(Math.min(Math.max(top, 0), last) - scrollY) > 1;
    } else if (this._target && performance.now() - this._scrolledAt >= OWN_SCROLL_MS) {
      const { top, bottom } = this._target.getBoundingClientRect();
      this._away = bottom < 0 || top > innerHeight;
    }
  }
}

function topOfSpoken(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return top > innerHeight * 0.15 && bottom < innerHeight * 0.6 ? null : scrollY + top - innerHeight * 0.3;
}

function topOfEnd(element) {
  const { bottom } = element.getBoundingClientRect();
  return bottom > innerHeight * 0.66 ? scrollY + bottom - innerHeight * 0.62 : null;
}
