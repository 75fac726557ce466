/** All conversations: begin one, find one again, rename and delete them. */

import { make, say } from "../dom.js";
import { counted, when } from "../times.js";
import { ConversationsApi } from "./api.js";
import { announce, furnish, knowledge, problemLine, quiet, removing, renaming, tried } from "./furniture.js";

const PAGE = 30;
const TYPED_MS = 250;

export class ThreadsPlace {
  constructor() {
    this._api = new ConversationsApi();
    this._asked = 0;
    this._before = null;
    this._problem = problemLine();
    this._list = make("ul", { class: "shelf", "aria-label": "Your talks" });
    this._empty = make("p", { class: "note", hidden: "" });
    this._more = quiet("Show older ones");
    this._more.hidden = true;
    this._more.addEventListener("click", () => this._load());
    this._query = make("input", { type: "search", "aria-label": "Find a talk", placeholder: "Find a talk…", maxlength: "200" });
    this._query.addEventListener("input", () => {
      clearTimeout(this._typed);
      this._typed = setTimeout(() => this._again(), TYPED_MS);
    });
  }

  stats() {
    return undefined;
  }

  async start() {
    this._form = make("div");
    const head = make("div", { class: "found-by" }, make("h2", {}, "Recent"), this._query);
    furnish("Talks", "threads", this._form, head, this._problem, this._list, this._empty, this._more);
    await Promise.all([this._offer(), this._again()]);
  }

  /** Who to talk to, about what. */
  async _offer() {
    await tried(this._problem, async () => {
      const [characters, { collections }] = await Promise.all([
        this._api.characters(),
        this._api.collections({ limit: 200 }),
      ]);
      this._form.replaceChildren(this._beginning(characters, collections));
    });
  }

  _beginning(characters, collections) {
    const someone = characters.map(({ id, name }) => make("option", { value: id }, name));
    const select = make("select", { id: "who" }, make("option", { value: "" }, "No character"), ...someone);
    const wanted = new URLSearchParams(location.search).get("with");
    if (characters.some(({ id }) => id === wanted)) select.value = wanted;
    const known = knowledge(collections, "Search these collections");
    const show = () => known.show(characters.find(({ id }) => id === select.value)?.collections ?? []);
    select.addEventListener("change", show);
    show();
    const problem = problemLine();
    const send = make("button", { type: "submit", class: "button" }, "Start chat");
    const form = make(
      "form",
      { class: "begin", autocomplete: "off", "aria-label": "A new talk" },
      make("label", { for: "who" }, "With"),
      select,
      known.element,
      send,
      problem,
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (send.disabled) return;
      send.disabled = true;
      await tried(problem, async () => {
        const wish = { character: select.value || null, settings: { collections: known.value } };
        const { id } = await this._api.begin(wish);
        location.assign(`./?thread=${encodeURIComponent(id)}`);
      });
      send.disabled = false;
    });
    return form;
  }

  _again() {
    this._before = null;
    this._list.replaceChildren();
    return this._load();
  }

  async _load() {
    const asked = (this._asked += 1);
    const query = this._query.value.trim();
    await tried(this._problem, async () => {
      const { threads, next } = await this._api.threads({ query, limit: PAGE, before: this._before });
      if (asked !== this._asked) return; // something else was looked for meanwhile
      this._list.append(...threads.map((thread) => this._item(thread)));
      this._before = next;
      this._more.hidden = !next;
      const none = query ? "No talk has these words in its title or its questions." : "No talks yet. Start the first one above.";
      say(this._empty, this._list.childElementCount || next ? null : none);
      if (query) announce(counted(this._list.childElementCount, "talk found", "talks found"));
    });
  }

  _item({ id, title, turns, latest_ms: latest, created_ms: created }) {
    const name = title || "Untitled";
    const about = `${counted(turns ?? 0, "question")} · ${when(latest || created)}`;
    const words = make("strong", {}, name);
    const rename = quiet("Rename", `Rename ${name}`);
    const open = make("a", { href: `./?thread=${encodeURIComponent(id)}` }, words, make("span", { class: "about" }, about));
    const entry = make("li", {}, open, rename);
    rename.addEventListener("click", () =>
      renaming("Rename", "Title", words.textContent, async (text) => {
        await this._api.rename(id, text);
        words.textContent = text;
      }),
    );
    entry.append(
      removing(name, () =>
        tried(this._problem, async () => {
          await this._api.remove(id);
          entry.remove();
          announce(`${name} is deleted`);
        }),
      ),
    );
    return entry;
  }
}
