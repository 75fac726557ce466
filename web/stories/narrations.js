/** The sessions in which scenes are read out; each is opened when somebody wants to hear or know of it. */

import { asSentence } from "../dom.js";
import { Session } from "../session.js";

class Opened {
  constructor(id, { url, total, onChange }) {
    this.known = false; // all is known that happened before
    this.problem = null;
    this.total = null; // of how many pieces it will be
    this.session = new Session({
      id,
      url,
      onPast: () => {
        this.known = true;
        onChange();
      },
      onFact: () => {},
      onChange,
      onState: ({ state, message }) => {
        if (state !== "refused") return;
        this.problem = asSentence(message);
        onChange();
      },
    });
    void total.then((count) => {
      this.total = count;
      onChange();
    });
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

  get(id) {
    return this._opened.get(id) ?? null;
  }

  open(id) {
    if (!this._opened.has(id)) {
      const about = { url: this._url(id), total: this._totalOf(id), onChange: this._onChange };
      this._opened.set(id, new Opened(id, about));
    }
    return this._opened.get(id);
  }
}
