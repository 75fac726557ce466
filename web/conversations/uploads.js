/** Files on their way into a collection: a few at a time, and shown until the collection's log knows of them. */

import { Problem } from "../api.js";
import { asSentence } from "../dom.js";
import { documentId } from "./shelf.js";

const AT_ONCE = 2;

export class Uploads {
  constructor({ api, collection, onChange }) {
    this._api = api;
    this._collection = collection;
    this._onChange = onChange;
    this._sent = new Map(); // document id to what is shown of it, and how the log had it `before`
    this._files = new Map(); // document id to its file, until it can be found
    this._waiting = [];
    this._running = 0;
  }

  send(files) {
    for (const file of files) {
      const id = documentId();
      this._files.set(id, file);
      this._begin({ id, name: file.name });
    }
  }

  /** A document that failed is sent once more, under its id. */
  again(document) {
    this._begin(this._sent.has(document.id) ? document : { ...document, before: document });
  }

  /** Whether its file is at hand. */
  has(id) {
    return this._files.has(id);
  }

  _begin({ id, name, view = null, before }) {
    this._sent.set(id, { id, name, state: "sending", done: 0, view, message: null, before });
    this._waiting.push({ id, file: this._files.get(id), abort: new AbortController() });
    this._next();
    this._onChange();
  }

  /** All documents: those of the log in their order, then those that it does not know yet. */
  beside({ documents, order }) {
    for (const id of order) if (documents[id] !== this._sent.get(id)?.before) this._sent.delete(id); // from here on the log tells
    const others = [...this._sent.values()].filter(({ id }) => !documents[id]);
    return [...order.map((id) => this._sent.get(id) ?? documents[id]), ...others];
  }

  /** A document that is deleted is not sent any more either. */
  forget(id) {
    this._sent.delete(id);
    this._files.delete(id);
    this._waiting = this._waiting.filter((one) => one.id !== id);
    this._current?.get(id)?.abort();
  }

  _next() {
    while (this._running < AT_ONCE && this._waiting.length) void this._send(this._waiting.shift());
  }

  async _send({ id, file, abort }) {
    this._running += 1;
    (this._current ??= new Map()).set(id, abort);
    const progress = (done) => this._show(id, { done });
    try {
      await this._api.send(this._collection, id, file, { onProgress: progress, signal: abort.signal });
      this._files.delete(id);
    } catch (error) {
      if (error instanceof Problem) this._show(id, { state: "failed", message: asSentence(error.message) });
      else if (!abort.signal.aborted) throw error;
    } finally {
      this._running -= 1;
      this._current.delete(id);
      this._next();
    }
  }

  _show(id, patch) {
    if (this._sent.has(id)) this._sent.set(id, { ...this._sent.get(id), ...patch });
    this._onChange();
  }
}
