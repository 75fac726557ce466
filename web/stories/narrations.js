/** The sessions in which scenes are read out; each is opened when somebody wants to hear or know of it. */

import { retryDelayMs } from "../client/cursor.js";
import { asSentence } from "../dom.js";
import { Session } from "../session.js";

const TRIES = 8; // a narration is asked for first and begun a moment later: within some ten seconds

class Opened {
  constructor(id, { url, totalOf, onChange }) {
    this.known = false; // all is known that happened before
    this.problem = null;
    this.total = null; // of how many pieces it will be
    this._about = { id, url, totalOf, onChange };
    this._failures = 0;
    this._again = 0; // the timer of the next try
    this._open();
  }

  close() {
    clearTimeout(this._again);
    this.session.close();
  }

  _open() {
    const { id, url, onChange } = this._about;
    this.session = new Session({
      id,
      url,
      onPast: () => this._pastIsKnown(),
      onFact: () => {},
      onChange,
      onState: (state) => state.state === "refused" && this._refused(state),
    });
  }

  async _pastIsKnown() {
    const { id, totalOf, onChange } = this._about;
    this.known = true;
    onChange();
    this.total = await totalOf(id);
    onChange();
  }

  _refused({ code, message }) {
    this._failures += 1;
    if (code === "session.not_found" && this._failures < TRIES) {
      this._again = setTimeout(() => this._open(), retryDelayMs(this._failures, Math.random()));
      return;
    }
    this.problem = asSentence(message);
    this._about.onChange();
  }
}

export class Narrations {
  /** `url(id)`: of its stream; `totalOf(id)`: of how many pieces it will be; `onChange()`: there is news. */
  constructor({ url, totalOf, onChange }) {
    this._url = url;
    this._totalOf = totalOf;
    this._onChange = onChange;
    this._opened = new Map();
  }

  /** All but the one that is heard. */
  close(heard) {
    for (const [id, opened] of this._opened) {
      if (id === heard) continue;
      opened.close();
      this._opened.delete(id); // it is opened anew if it is heard after all
    }
  }

  get(id) {
    return this._opened.get(id) ?? null;
  }

  open(id) {
    if (!this._opened.has(id)) {
      const about = { url: this._url(id), totalOf: this._totalOf, onChange: this._onChange };
      this._opened.set(id, new Opened(id, about));
    }
    return this._opened.get(id);
  }
}
