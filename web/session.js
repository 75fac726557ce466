/** One session as this page knows it: its story, folded from the wire, and its cursor. */

import { Cursor } from "./client/cursor.js";
import { EventSocket } from "./client/event-socket.js";
import { connection } from "./connection.js";
import { emptyStory, reduce } from "./story.js";

const NOBODY = { onPast() {}, onFact() {}, onChange() {}, onState() {} };

export class Session {
  constructor({ id, url, ...handlers }) {
    this.id = id;
    this.url = url;
    this.story = emptyStory();
    this.state = { state: "idle" }; // of the connection
    this._head = null;
    this._live = false;
    this._handlers = { ...NOBODY, ...handlers };
    this._wire = new EventSocket({
      connection,
      path: url,
      onState: (state) => this._handlers.onState((this.state = state)),
      onHello: ({ head_seq: head }) => this._caughtUpAt(head),
      onEvent: (fact) => this._take(fact),
    });
    this._wire.open();
  }

  /**
   * Tell another listener from now on: `onPast()` once all is known that happened before (at once if it is
   * already), from then on `onFact(fact)`; `onChange()` for both; `onState(state)` of the connection.
   */
  listen(handlers) {
    this._handlers = { ...NOBODY, ...handlers };
    this._handlers.onState(this.state);
    if (this._live) this._handlers.onPast();
  }

  close() {
    this._handlers = NOBODY;
    this._wire.close();
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
    if (this._live) this._handlers.onFact(fact);
    else this._settle();
    this._handlers.onChange();
  }

  _settle() {
    if (this._live || this.story.lastSeq < this._head) return;
    this._live = true;
    this._handlers.onPast();
  }
}
