/** The documents of a knowledge base in a list: in its row each is opened, sent again and deleted. */

import { byId, make } from "../dom.js";
import { DocumentRow } from "./document-row.js";
import { announce, removing, tried } from "./furniture.js";
import { t } from "../strings.js";

export class DocumentList {
  /** `problem`: the line in which a refused deletion is told. */
  constructor(problem) {
    this.element = make("ul", { class: "shelf documents", "aria-label": t("Documents") });
    this._problem = problem;
    this._rows = new Map(); // by id
  }

  /** `collection`: a FollowedCollection. */
  update(collection) {
    const { documents, uploads } = collection;
    const ids = new Set(documents.map(({ id }) => id));
    for (const [id, row] of this._rows) if (!ids.has(id)) this._drop(id, row);
    for (const one of documents) {
      if (!this._rows.has(one.id)) this._add(collection, one);
      this._rows.get(one.id).update(one, uploads.has(one.id));
    }
  }

  /** Scrolls to the row of the document. */
  reveal(id) {
    this._rows.get(id)?.element.scrollIntoView({ block: "nearest" });
  }

  _add(collection, { id, name }) {
    const remove = removing(name, async () => {
      if (await tried(this._problem, () => collection.remove(id))) announce(t("{name} is deleted", { name }));
    });
    const row = new DocumentRow({ remove, onOpen: open, onRetry: (document) => collection.uploads.again(document) });
    this._rows.set(id, row);
    this.element.append(row.element);
  }

  _drop(id, { element }) {
    const focused = element.contains(document.activeElement);
    element.remove();
    this._rows.delete(id);
    if (focused) byId("heading").focus({ preventScroll: true });
  }
}

async function open(view) {
  const { openDocument } = await import("./passage.js");
  openDocument(view);
}
