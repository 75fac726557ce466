/** One collection: its documents as they come in, however many people add to it, and a look at what is found. */

import { orElse } from "../api.js";
import { asSentence, make, oncePerFrame, problemLine } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { DocumentList } from "./document-list.js";
import { FollowedCollection } from "./followed-collection.js";
import { furnish, quiet, tried } from "./furniture.js";
import { renaming } from "./renaming.js";
import { placeOf } from "./sources.js";
import { refusalOf } from "../refusals.js";
import { language, t } from "../strings.js";

const KINDS = ".pdf,.docx,.html,.htm,.md,.markdown,.txt";

export class CollectionPlace {
  constructor(id, shell) {
    this.id = id;
    this.title = t("Knowledge");
    this._shell = shell;
    this._left = new AbortController();
    this._api = new ConversationsApi();
    this._paint = oncePerFrame(() => this._draw());
    const onState = (state) => this._connection(state);
    this._collection = new FollowedCollection({ id, api: this._api, onChange: this._paint, onState });
    this._problem = problemLine();
    this._list = new DocumentList(this._problem);
    this._empty = make("p", { class: "note", hidden: "" }, t("Nothing in here yet."));
  }

  leave() {
    this._left.abort();
    this._collection.close();
  }

  async start() {
    const rename = quiet(t("Rename"));
    rename.addEventListener("click", () =>
      renaming(t("Rename"), t("Name"), this._collection.shelf.name, (name) => this._api.renameCollection(this.id, name)),
    );
    furnish("", rename, this._dropping(), this._problem, this._list.element, this._empty, this._search());
    const collection = await orElse(
      () => null,
      () => this._api.collection(this.id),
    );
    if (!collection) {
      this._shell.refused(t("There is no such knowledge base, or it is somebody else's."));
      return;
    }
    if (this._left.signal.aborted) return;
    this._collection.open();
    await tried(this._problem, () => this._api.documents(this.id));
  }

  /** Choose files, or drop them anywhere on the page. */
  _dropping() {
    const input = make("input", { type: "file", id: "files", multiple: "", accept: KINDS, class: "unseen" });
    const label = make("label", { for: "files", class: "drop" }, make("strong", {}, t("Add documents")));
    label.append(make("span", { class: "about" }, t("PDF, DOCX, HTML, Markdown or text. Choose them, or drop them here.")));
    input.addEventListener("change", () => {
      this._collection.uploads.send([...input.files]);
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
      this._collection.uploads.send([...event.dataTransfer.files]);
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

  _draw() {
    if (this._left.signal.aborted) return;
    this.title = this._collection.shelf.name || t("Knowledge");
    this._shell.paint();
    this._list.update(this._collection);
    this._empty.hidden = this._collection.documents.length > 0;
  }

  _connection(state) {
    if (this._left.signal.aborted) return;
    if (state.state === "ended") this._shell.refused(t("This knowledge base was deleted."));
    if (state.state === "refused") this._shell.refused(asSentence(refusalOf(state)));
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
