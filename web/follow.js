/** Keeps the place that is being heard, or written, in sight. */

import { byId, setIcon } from "./dom.js";

const OWN_SCROLL_MS = 700;

let shown = null; // of the place that was drawn last; those of places that were left are forgotten
addEventListener("scroll", () => shown?._scrolled(), { passive: true });
byId("follow").addEventListener("click", () => shown?.resume());

/** Scrolls along with the voice (or, in silence, with the growing text) until the reader scrolls away. */
export class Follow {
  constructor() {
    this._button = byId("follow");
    this._target = null;
    this._away = false;
    this._scrolledAt = -Infinity;
    this._height = 0;
    this._liveHeight = 0;
  }

  resume() {
    this._away = false;
    this._target = null;
    this._height = 0;
  }

  /** Shows `element`, the end of the page, with what is being said: voice mode has a dock over half of the window. */
  toSpeech(element) {
    shown = this;
    this._button.hidden = true;
    this._target = null;
    const grown = element.scrollHeight !== this._liveHeight;
    this._liveHeight = element.scrollHeight;
    if (grown) this._scroll(document.documentElement.scrollHeight);
  }

  to(spoken, growing) {
    shown = this;
    this._liveHeight = 0;
    this._button.hidden = !(this._away && spoken);
    if (!this._button.hidden) {
      this._target = spoken; // a sentence that grows is drawn anew
      setIcon(this._button, spoken.getBoundingClientRect().top < 0 ? "up" : "down");
    }
    if (this._away || !byId("refusal").hidden) return; // a refusal stays in sight
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
