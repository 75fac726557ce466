/** All collections of documents. */

import { make, problemLine, say } from "../dom.js";
import { when } from "../times.js";
import { ConversationsApi } from "./api.js";
import { announce, furnish, loading, removing, tried, working } from "./furniture.js";
import { counted, t } from "../strings.js";

const PAGE = 100;

export class CollectionsPlace {
  title = t("Knowledge");

  constructor(shell) {
    this._shell = shell;
    this._api = new ConversationsApi();
    this._problem = problemLine();
    this._list = make("ul", { class: "shelf", "aria-label": t("Your knowledge bases") });
    this._empty = make("p", { class: "note", hidden: "" }, t("No documents yet. Name the first knowledge base below."));
  }

  leave() {}

  async start() {
    const words = t("Answers can cite passages of your documents.");
    const note = make("p", { class: "note" }, words);
    const all = loading(t("Loading…"), () => this._load());
    furnish("collections", note, this._problem, all, this._list, this._empty, this._form());
  }

  async _load() {
    const items = [];
    let before = null;
    do {
      const { collections, next } = await this._api.collections({ limit: PAGE, before });
      items.push(...collections.map((collection) => this._item(collection)));
      before = next;
    } while (before);
    this._list.replaceChildren(...items);
    say(this._empty, items.length ? null : this._empty.textContent);
  }

  _form() {
    const name = make("input", { id: "collection-name", maxlength: "200", required: "", placeholder: t("Our handbook") });
    const problem = problemLine();
    const send = make("button", { type: "submit", class: "button" }, t("Create knowledge base"));
    const label = make("label", { for: name.id }, t("Name"));
    const form = make("form", { class: "begin", autocomplete: "off", "aria-label": t("A new knowledge base") }, label, name, send, problem);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void working(send, problem, t("Creating the knowledge base… The first one may take a moment."), async () => {
        const { id } = await this._api.createCollection(name.value.trim());
        if (form.isConnected) await this._shell.go(`./?collection=${encodeURIComponent(id)}`); // else the user has gone elsewhere
      });
    });
    return form;
  }

  _item({ id, name, thread, documents, unfinished, created_ms: created }) {
    const coming = unfinished ? [t("{count} being added", { count: unfinished })] : [];
    if (thread) coming.push(t("files of a chat"));
    const about = [counted(documents, "{count} document", "{count} documents"), ...coming, t("made {when}", { when: when(created) })].join(" · ");
    const open = make("a", { href: `./?collection=${encodeURIComponent(id)}` }, make("strong", {}, name));
    open.append(make("span", { class: "about" }, about));
    const entry = make("li", {}, open);
    entry.append(
      removing(name, () =>
        tried(this._problem, async () => {
          await this._api.removeCollection(id);
          entry.remove();
          announce(t("{name} is deleted", { name }));
        }),
      ),
    );
    return entry;
  }
}
