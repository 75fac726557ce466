/** All sessions, newest first: what was asked, told and read out. Each leads to itself and to its timeline. */

import { Api, orElse } from "../api.js";
import { announce, removing, tried } from "../conversations/furniture.js";
import { asSentence, byId, make, say } from "../dom.js";
import { StoriesApi } from "../stories/api.js";
import { counted, when } from "../times.js";

const PAGE = 40;
const KINDS = [
  ["session thread story narration", "All"],
  ["session", "Asked"],
  ["thread", "Talks"],
  ["story", "Stories"],
  ["narration", "Narrations"],
  ["completion", "API requests"],
];
const NAMES = {
  session: "Asked",
  thread: "Talk",
  story: "Story",
  narration: "Narration",
  completion: "API request",
};

export class HistoryPlace {
  constructor() {
    this._api = new Api();
    this._stories = new StoriesApi(); // deletes a story with what was read out of it
    this._kinds = KINDS[0][0];
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
    await this._choose(KINDS[0][0]);
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

  _choose(kinds) {
    this._kinds = kinds;
    this._before = null;
    this._list.replaceChildren();
    return this._load();
  }

  async _load() {
    const asked = (this._asked += 1);
    const query = [["limit", PAGE], ...this._kinds.split(" ").map((kind) => ["kind", kind])];
    if (this._before) query.push(["before", this._before]);
    say(this._problem, null);
    await orElse(
      ({ message }) => say(this._problem, asSentence(message)),
      async () => {
        const { sessions, next } = await this._api.sessions(query);
        if (asked !== this._asked) return; // something else was chosen meanwhile
        this._list.append(...sessions.map((session) => this._item(session)));
        this._before = next;
        this._more.hidden = !next;
        this._empty.hidden = this._list.childElementCount > 0;
      },
    );
  }

  _item({ session_id: id, kind, title, turns, latest_ms: latest, created_ms: created, parent }) {
    const name = title || (kind === "session" ? `Asked ${when(created)}` : NAMES[kind]);
    const scenes = counted(turns, kind === "story" ? "scene" : "turn");
    const about = make("span", { class: "about" }, [NAMES[kind], scenes, when(latest || created)].join(" · "));
    const own = encodeURIComponent(kind === "narration" && parent ? parent : id);
    const place = { thread: "thread", story: "story", narration: "story" }[kind] ?? "session";
    const timeline = { class: "quiet", "aria-label": `Timeline of ${name}` };
    const entry = make("li", {}, link(`./?${place}=${own}`, {}, make("strong", {}, name), about));
    entry.append(link(`./?timeline=${encodeURIComponent(id)}`, timeline, "Timeline"));
    entry.append(
      removing(name, () =>
        tried(this._problem, async () => {
          await (kind === "story" ? this._stories : this._api).remove(id);
          entry.remove();
          announce(`${name} is deleted`);
        }),
      ),
    );
    return entry;
  }
}

const link = (href, attributes, ...content) => make("a", { href, ...attributes }, ...content);
