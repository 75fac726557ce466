/** All stories, and the beginning of a new one. */

import { Api } from "../api.js";
import { announce, removing, tried, working } from "../conversations/furniture.js";
import { byId, make, problemLine } from "../dom.js";
import { when } from "../times.js";
import { StoriesApi } from "./api.js";
import { counted, t } from "../strings.js";

const PAGE = 30;

export class StoriesPlace {
  title = t("Stories");

  constructor(shell) {
    this._shell = shell;
    this._api = new StoriesApi();
    this._sessions = new Api();
    this._before = null;
    this._problem = problemLine();
    this._list = make("ul", { class: "shelf", "aria-label": t("Your stories") });
    this._empty = make("p", { class: "note", hidden: "" }, t("No stories yet. Create the first one above."));
    this._more = make("button", { type: "button", class: "quiet", hidden: "" }, t("Show older ones"));
    this._more.addEventListener("click", () => this._load());
  }

  leave() {}

  async start() {
    byId("composer").hidden = true;
    const root = byId("place");
    root.hidden = false;
    const before = make("h2", {}, t("Recent"));
    root.replaceChildren(this._form(), before, this._problem, this._list, this._empty, this._more);
    await this._load();
  }

  _form() {
    const title = make("input", { id: "story-title", maxlength: "200", placeholder: t("The lighthouse and the fox") });
    const premise = make("textarea", { id: "story-premise", rows: "2", maxlength: "4000" });
    premise.placeholder = t("A keeper, a lamp, a fox that comes in from the storm…");
    const problem = problemLine();
    const send = make("button", { type: "submit", class: "button" }, t("Create story"));
    const form = make(
      "form",
      { class: "begin", autocomplete: "off", "aria-label": t("A new story") },
      make("label", { for: "story-title" }, t("Title")),
      title,
      make("label", { for: "story-premise" }, t("What it is about")),
      premise,
      send,
      problem,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void working(send, problem, t("Creating the story…"), async () => {
        const { id } = await this._api.create({ title: title.value.trim(), premise: premise.value.trim() });
        if (form.isConnected) await this._shell.go(`./?story=${encodeURIComponent(id)}`);
      });
    });
    return form;
  }

  async _load() {
    const query = { kind: "story", limit: PAGE, ...(this._before ? { before: this._before } : {}) };
    await tried(this._problem, async () => {
      const { sessions, next } = await this._sessions.sessions(query);
      this._list.append(...sessions.map((story) => this._item(story)));
      this._before = next;
      this._more.hidden = !next;
      this._empty.hidden = this._list.childElementCount > 0;
    });
  }

  /** Deleted with what was read out of it. */
  _item({ session_id: id, title, turns, latest_ms: latest, created_ms: created }) {
    const address = `./?story=${encodeURIComponent(id)}`;
    const about = `${counted(turns ?? 0, "{count} scene", "{count} scenes")} · ${when(latest || created)}`;
    const name = title || t("Untitled");
    const open = make("a", { href: address }, make("strong", {}, name), make("span", { class: "about" }, about));
    const remove = removing(name, () =>
      tried(this._problem, async () => {
        await this._api.remove(id);
        entry.remove();
        announce(t("{name} is deleted", { name }));
      }),
    );
    const entry = make("li", {}, open, remove);
    return entry;
  }
}
