/** A knowledge base as its events tell of it, and this page's files on their way into it. */

import { EventSocket } from "../client/event-socket.js";
import { connection } from "../connection.js";
import { announce } from "./furniture.js";
import { refusalOf } from "../refusals.js";
import { emptyShelf, shelve } from "./shelf.js";
import { Uploads } from "./uploads.js";
import { t } from "../strings.js";

export class FollowedCollection {
  /** `onChange()` when its name or its documents are others; `onState(state)` of the connection. */
  constructor({ id, api, onChange, onState = () => {} }) {
    this.id = id;
    this.shelf = emptyShelf();
    this.uploads = new Uploads({ api, collection: id, onChange });
    this._api = api;
    this._onChange = onChange;
    this._head = 0; // of what had happened before
    this._wire = new EventSocket({
      connection,
      path: `v1/sessions/${encodeURIComponent(id)}/stream`,
      onHello: ({ head_seq: head }) => (this._head ||= head),
      onEvent: (fact) => this._take(fact),
      onState,
    });
  }

  open() {
    this._wire.open();
  }

  close() {
    this._wire.close();
  }

  /** Whether all is told that had happened before. */
  get isKnown() {
    return this._head > 0 && this.shelf.lastSeq >= this._head;
  }

  /** In the order in which they came: {id, name, state, done, view, message}. */
  get documents() {
    return this.uploads.beside(this.shelf);
  }

  /** Rejects with a Problem. */
  async remove(id) {
    this.uploads.forget(id);
    if (this.shelf.documents[id]) await this._api.removeDocument(this.id, id);
    this._onChange();
  }

  _take(fact) {
    this.shelf = shelve(this.shelf, fact);
    if (fact.seq > this._head) this._tell(fact);
    this._onChange();
  }

  _tell({ type, data }) {
    if (type === "document.added") announce(t("{name} can be found now", { name: data.view.name }));
    const name = this.shelf.documents[data.document]?.name;
    if (type === "document.failed" && name) announce(t("{name} could not be added: {reason}", { name, reason: refusalOf(data) }));
  }
}
