/** One collection: its documents as they come in, however many people add to it, and a look at what is found. */

import { orElse } from "../api.js";
import { EventSocket } from "../client/event-socket.js";
import { connection } from "../connection.js";
import { asSentence, make, oncePerFrame, problemLine } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { announce, furnish, quiet, removing, renaming, tried } from "./furniture.js";
import { emptyShelf, shelve } from "./shelf.js";
import { placeOf } from "./sources.js";
import { DocumentRow } from "./document-row.js";
import { Uploads } from "./uploads.js";
import { language, t } from "../strings.js";

const KINDS = ".pdf,.docx,.html,.htm,.md,.markdown,.txt";

export class CollectionPlace {
  constructor(id, shell) {
    this.id = id;
    this.title = t("Knowledge");
    this._shell = shell;
    this._left = new AbortController();
    this._api = new ConversationsApi();
    this._shelf = emptyShelf();
    this._rows = new Map();
    this._announced = 0;
    this._paint = oncePerFrame(() => this._draw());
    this._uploads = new Uploads({ api: this._api, collection: id, onChange: () => this._paint() });
    this._problem = problemLine();
    this._list = make("ul", { class: "shelf documents", "aria-label": t("Documents") });
    this._empty = make("p", { class: "note", hidden: "" }, t("Nothing in here yet."));
    this._wire = new EventSocket({
      connection,
      path: `v1/sessions/${encodeURIComponent(id)}/stream`,
      onHello: ({ head_seq: head }) => (this._announced ||= head),
      onEvent: (fact) => this._take(fact),
      onState: (state) => this._connection(state),
    });
  }

  leave() {
    this._left.abort();
    this._wire.close();
  }

  async start() {
    const rename = quiet(t("Rename"));
    rename.addEventListener("click", () =>
      renaming(t("Rename"), t("Name"), this._shelf.name, (name) => this._api.renameCollection(this.id, name)),
    );
    furnish("", rename, this._dropping(), this._problem, this._list, this._empty, this._search());
    const collection = await orElse(
      () => null,
      () => this._api.collection(this.id),
    );
    if (!collection) {
      this._shell.refused(t("There is no such knowledge base, or it is somebody else's."));
      return;
    }
    this._wire.open();
    await tried(this._problem, () => this._api.documents(this.id));
  }

  /** Choose files, or drop them anywhere on the page. */
  _dropping() {
    const input = make("input", { type: "file", id: "files", multiple: "", accept: KINDS, class: "unseen" });
    const label = make("label", { for: "files", class: "drop" }, make("strong", {}, t("Add documents")));
    label.append(make("span", { class: "about" }, t("PDF, DOCX, HTML, Markdown or text. Choose them, or drop them here.")));
    input.addEventListener("change", () => {
      this._uploads.send([...input.files]);
      input.value = "";
    });
    const { signal } = this._left;
    const over = (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      label.classList.add("over");
    };
    const dropped = (event) => {
      event.preventDefault();
      label.classList.remove("over");
      this._uploads.send([...event.dataTransfer.files]);
    };
    addEventListener("dragover", over, { signal });
    addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || label.classList.remove("over"), { signal });
    addEventListener("drop", dropped, { signal });
    return make("div", { class: "dropping" }, input, label);
  }

  _search() {
    const question = make("input", { type: "search", maxlength: "2000", "aria-label": t("Look something up"), required: "" });
    question.placeholder = t("Look something up…");
    const problem = problemLine();
    const found = make("ul", { class: "found", "aria-label": t("Passages") });
    const none = make("p", { class: "note", role: "status" });
    const form = make("form", { class: "share-form" }, question, make("button", { type: "submit", class: "button" }, t("Find")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void tried(problem, async () => {
        const passages = await this._api.find(this.id, question.value.trim());
        none.textContent = passages.length ? "" : t("Nothing was found.");
        found.replaceChildren(...passages.map(result));
      });
    });
    return make("section", { class: "looking", "aria-label": t("Look something up") }, form, problem, none, found);
  }

  _take(fact) {
    this._shelf = shelve(this._shelf, fact);
    if (fact.seq > this._announced) this._tell(fact);
    this._paint();
  }

  _tell({ type, data }) {
    if (type === "document.added") announce(t("{name} can be found now", { name: data.view.name }));
    const name = this._shelf.documents[data.document]?.name;
    if (type === "document.failed" && name) announce(t("{name} could not be added: {reason}", { name, reason: data.message }));
  }

  _draw() {
    if (this._left.signal.aborted) return;
    this.title = this._shelf.name || t("Knowledge");
    this._shell.paint();
    const shown = this._uploads.beside(this._shelf);
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this._rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this._rows.delete(id);
    }
    for (const one of shown) {
      if (!this._rows.has(one.id)) this._add(one);
      this._rows.get(one.id).update(one);
    }
    this._empty.hidden = shown.length > 0;
  }

  _add({ id, name }) {
    const remove = removing(name, () => this._remove(id, name));
    const row = new DocumentRow({ remove, onOpen: (view) => this._open(view) });
    this._rows.set(id, row);
    this._list.append(row.element);
  }

  async _remove(id, name) {
    this._uploads.forget(id);
    const gone = this._shelf.documents[id]
      ? await tried(this._problem, () => this._api.removeDocument(this.id, id))
      : true;
    if (gone) announce(t("{name} is deleted", { name }));
    this._paint();
  }

  async _open(view) {
    const { openDocument } = await import("./passage.js");
    openDocument(view);
  }

  _connection(state) {
    if (this._left.signal.aborted) return;
    if (state.state === "ended") this._shell.refused(t("This knowledge base was deleted."));
    if (state.state === "refused") this._shell.refused(asSentence(state.message));
  }
}

function result(passage) {
  const open = make("button", { type: "button", class: "quiet", "aria-label": t("Open {name}", { name: placeOf(passage) }) }, placeOf(passage));
  open.addEventListener("click", async () => {
    const { openPassage } = await import("./passage.js");
    openPassage(passage);
  });
  const score = passage.score.toLocaleString(language, { maximumSignificantDigits: 2 });
  const title = t("Larger is better, among the passages of one search");
  const relevance = make("span", { class: "about", title }, t("Relevance {score}", { score }));
  return make("li", {}, open, relevance, make("p", { dir: "auto" }, passage.text));
}
