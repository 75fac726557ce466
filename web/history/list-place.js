/** All sessions, newest first: what was asked, told and read out. */

import { Api, orElse } from "../api.js";
import { asSentence, byId, make, say } from "../dom.js";
import { counted, when } from "../times.js";

const PAGE = 40;
const KINDS = [
  ["", "All"],
  ["session", "Asked"],
  ["thread", "Talks"],
  ["story", "Stories"],
  ["narration", "Narrations"],
];
const NAMES = {
  session: "Asked",
  thread: "Talk",
  story: "Story",
  narration: "Narration",
  user: "Settings and notifications",
  collection: "Documents",
  completion: "Answer for a program",
};

export class HistoryPlace {
  constructor() {
    this._api = new Api();
    this._kind = "";
    this._asked = 0;
    this._problem = make("p", { class: "problem", role: "alert", hidden: "" });
    this._list = make("ul", { class: "shelf", "aria-label": "Sessions" });
    this._empty = make("p", { class: "note", hidden: "" }, "Nothing here yet.");
    this._more = make("button", { type: "button", class: "quiet", hidden: "" }, "Show older ones");
    this._more.addEventListener("click", () => this._load());
  }

  stats() {
    return undefined;
  }

  async start() {
    document.title = "History · Rhapsode";
    byId("dock").hidden = true;
    const root = byId("place");
    root.hidden = false;
    root.replaceChildren(make("h1", {}, "History"), this._filter(), this._problem, this._list, this._empty, this._more);
    await this._choose("");
  }

  _filter() {
    const labels = KINDS.map(([kind, label], number) => {
      const input = make("input", { type: "radio", name: "kind", value: kind });
      input.checked = number === 0;
      return make("label", {}, input, make("span", {}, label));
    });
    const fieldset = make("fieldset", { class: "modes" }, make("legend", { class: "unseen" }, "Which"), ...labels);
    fieldset.addEventListener("change", ({ target }) => this._choose(target.value));
    return fieldset;
  }

  _choose(kind) {
    this._kind = kind;
    this._before = null;
    this._list.replaceChildren();
    return this._load();
  }

  async _load() {
    const asked = (this._asked += 1);
    const query = {
      limit: PAGE,
      ...(this._kind && { kind: this._kind }),
      ...(this._before && { before: this._before }),
    };
    say(this._problem, null);
    await orElse(
      ({ message }) => say(this._problem, asSentence(message)),
      async () => {
        const { sessions, next } = await this._api.sessions(query);
        if (asked !== this._asked) return; // something else was chosen meanwhile
        this._list.append(...sessions.map(item));
        this._before = next;
        this._more.hidden = !next;
        this._empty.hidden = this._list.childElementCount > 0;
      },
    );
  }
}

function item({ session_id: id, kind, title, turns, latest_ms: latest, created_ms: created, parent }) {
  const name = title || (kind === "session" ? `Asked ${when(created)}` : NAMES[kind]);
  const scenes = kind === "story" ? counted(turns, "scene") : counted(turns, "turn");
  const about = [NAMES[kind], ...(["user", "collection"].includes(kind) ? [] : [scenes]), when(latest || created)].join(" · ");
  const entry = make(
    "li",
    {},
    link(
      `./?timeline=${encodeURIComponent(id)}`,
      {},
      make("strong", {}, name),
      make("span", { class: "about" }, about),
    ),
  );
  const open = {
    session: `./?session=${id}`,
    thread: `./?thread=${id}`,
    story: `./?story=${id}`,
    narration: parent && `./?story=${parent}`,
    collection: `./?collection=${id}`,
    completion: `./?session=${id}`,
  }[kind];
  if (open) entry.append(link(open, { class: "quiet", "aria-label": `Open ${name}` }, "Open"));
  return entry;
}

const link = (href, attributes, ...content) => make("a", { href, ...attributes }, ...content);
