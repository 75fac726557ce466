/** One session as this page knows it: its story, folded from the wire, and its cursor. */

import { Cursor } from "./cursor.js";
import { emptyStory, reduce } from "./story.js";
import { Wire } from "./wire.js";

export class Session {
  /** `onPast()` once all is known that happened before, from then on `onFact(fact)`; `onChange()` for both. */
  constructor({ id, url, onPast, onFact, onChange, onState }) {
    this.id = id;
    this.url = url;
    this.story = emptyStory();
    this._head = null;
    this._live = false;
    this._onPast = onPast;
    this._onFact = onFact;
    this._onChange = onChange;
    this._wire = new Wire({
      url,
      onState,
      onHello: ({ head_seq: head }) => this._caughtUpAt(head),
      onFact: (fact) => this._take(fact),
    });
    this._wire.open();
  }

  get cursor() {
    return this._wire.cursor;
  }

  /** Say something to the server; false while there is no connection. */
  tell(message) {
    return this._wire.send(message);
  }

  /** The cursor of somebody who has handled everything up to `seq`. */
  cursorAt(seq) {
    return new Cursor(this.cursor.generation, seq);
  }

  _caughtUpAt(head) {
    this._head ??= head;
    this._settle();
  }

  _take(fact) {
    this.story = reduce(this.story, fact);
    if (this._live) this._onFact(fact);
    else this._settle();
    this._onChange();
  }

  _settle() {
    if (this._live || this.story.lastSeq < this._head) return;
    this._live = true;
    this._onPast();
  }
}
