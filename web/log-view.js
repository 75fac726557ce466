/** The collapsible panel with the latest facts, for the curious. Costs nothing while it is closed. */

import { isGuest } from "./credentials.js";
import { byId, make } from "./dom.js";

const SHOWN = 60;

const brief = (data) =>
  Object.entries(data ?? {})
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    .join("  ");

export class LogView {
  constructor() {
    this._panel = byId("log");
    this._title = byId("log-title");
    this._list = byId("log-facts");
    this._shownSeq = 0;
    this._story = null;
    this._panel.addEventListener("toggle", () => {
      if (!this._panel.open) return;
      this._show(this._story);
      scrollTo({ top: document.documentElement.scrollHeight });
    });
  }

  /** Another session is on show. */
  reset() {
    this._shownSeq = 0;
    this._list.replaceChildren();
    this._panel.hidden = true;
  }

  update(story) {
    this._story = story;
    this._panel.hidden = story.lastSeq === 0 || isGuest;
    if (this._panel.hidden) return;
    const title = `Events (${story.lastSeq})`;
    if (this._title.textContent !== title) this._title.textContent = title;
    if (this._panel.open && this._shownSeq !== story.lastSeq) this._show(story);
  }

  _show(story) {
    const atEnd = this._list.scrollTop + this._list.clientHeight >= this._list.scrollHeight - 24;
    const news = story.log.filter(({ seq }) => seq > this._shownSeq).slice(-SHOWN);
    for (const { seq, type, data } of news) {
      this._list.append(
        make("li", {}, make("span", {}, String(seq)), make("span", {}, type), make("span", {}, brief(data))),
      );
    }
    while (this._list.childElementCount > SHOWN) this._list.firstElementChild.remove();
    if (atEnd) this._list.scrollTop = this._list.scrollHeight;
    this._shownSeq = story.lastSeq;
  }
}
