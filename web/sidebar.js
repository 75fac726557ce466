/** The side bar: the places, and the history with its search and its filter. On narrow windows it is a drawer. */

import { addressOf } from "./addresses.js";
import { Api, orElse } from "./api.js";
import { quiet, tried } from "./conversations/furniture.js";
import { byId, icon, make, problemLine, say } from "./dom.js";
import { isPinned, pin, pins, unpin } from "./pins.js";
import { when } from "./times.js";
import { counted, t, unmarked } from "./strings.js";

const PAGE = 30;
const TYPED_MS = 250;
const DAY_MS = 86_400_000;
const SOON_MS = 1_000; // the server's list lags a moment behind: it is read again, first soon and then seldom
const SELDOM_MS = 60_000;
const SWIPE_PX = 60;
const EDGE_PX = 40; // a finger that begins within them opens the drawer
const WIDE = matchMedia("(min-width: 64rem)");
const FILTERS = [
  ["thread story", t("Chats and stories")],
  ["thread", t("Chats")],
  ["story", t("Stories")],
  ["narration", t("Narrations")],
  ["session completion", t("API requests and comparisons")], // chats are threads; this page begins sessions for comparisons only
];
const UNNAMED = { story: t("Untitled"), narration: t("Narration"), session: t("API request"), completion: t("API request") };

export const nameOf = ({ kind, title, created_ms: created }) => unmarked(title) || UNNAMED[kind] || t("Chat, {when}", { when: when(created) });

const DAYS = [t("Pinned"), t("Today"), t("Yesterday"), t("Earlier")];

/** Number of the day in DAYS, of what is not pinned. */
function dayOf(ms, now = Date.now()) {
  const day = (then) => new Date(then).toDateString();
  if (day(ms) === day(now)) return 1;
  return day(ms) === day(now - DAY_MS) ? 2 : 3;
}

export class Sidebar {
  /** `onMenu(button, about)`: what can be done with an entry is wanted beside its button. */
  constructor({ onMenu }) {
    this._api = new Api();
    this._onMenu = onMenu;
    this._asked = 0;
    this._before = null;
    this._entries = new Map(); // by id: {about, element, name, actions}
    this._told = new Set(); // ids that were begun or renamed here: this page knows their titles better than the list
    this._deleted = new Set(); // ids
    this._current = null;
    this._inAnswers = false; // the words are looked for in answers, too
    this._root = byId("history");
    this._problem = problemLine();
    this._empty = make("p", { class: "note", hidden: "" });
    this._more = quiet(t("Show older ones"));
    this._more.hidden = true;
    this._more.addEventListener("click", () => this._load());
    this._answers = quiet(t("Search in answers too"));
    this._answers.hidden = true;
    this._answers.addEventListener("click", () => this._searchAnswers());
    this._lists = make("div");
    this._root.replaceChildren(this._problem, this._lists, this._empty, this._more, this._answers);
    const options = FILTERS.map(([value, words]) => make("option", { value }, words));
    byId("history-filter").replaceChildren(...options);
    byId("history-filter").addEventListener("change", () => this.reload());
    byId("history-query").addEventListener("input", () => {
      clearTimeout(this._typed);
      this._inAnswers = false;
      this._typed = setTimeout(() => this.reload(), TYPED_MS);
    });
    document.addEventListener("visibilitychange", () => this._refreshIn(SOON_MS));
    this._bindDrawer();
  }

  /** The place on show: its entry, and the link of its kind, are marked. */
  mark(place, id) {
    for (const link of document.querySelectorAll(".places [data-place]")) {
      const here = link.dataset.place === place && !(place === "chat" && id); // "New chat" is no old one
      if (here) link.setAttribute("aria-current", id ? "true" : "page");
      else link.removeAttribute("aria-current");
    }
    this._current = id;
    for (const [one, { element }] of this._entries) markEntry(element, one === id);
    this.close();
  }

  reload() {
    clearTimeout(this._typed); // else the same is looked for twice
    this._before = null;
    return this._load();
  }

  _searchAnswers() {
    this._inAnswers = true;
    this._focusRoot();
    return this.reload();
  }

  /** Where the button or entry that had the focus is gone. */
  _focusRoot() {
    this._root.setAttribute("tabindex", "-1");
    this._root.focus({ preventScroll: true });
  }

  /** A session that this page has begun or renamed. */
  noted(about) {
    this._told.add(about.id);
    if (this._entries.has(about.id)) this._rename(about);
    else if (byId("history-filter").value.includes(about.kind) && !byId("history-query").value) {
      this._add({ created_ms: Date.now(), ...about }, Infinity);
    }
  }

  _rename(about) {
    const known = this._entries.get(about.id);
    known.about = { ...known.about, ...about };
    const name = nameOf(known.about);
    if (known.name.textContent === name) return;
    known.name.textContent = name;
    known.actions.setAttribute("aria-label", t("Actions for {name}", { name }));
    if (isPinned(about.id)) pin(known.about);
  }

  /** To the top of the history, or back to its day. */
  pin(about) {
    const known = this._entries.get(about.id)?.about ?? { created_ms: Date.now(), ...about };
    if (isPinned(about.id)) unpin(about.id);
    else pin({ ...known, title: about.title });
    this._remove(about.id);
    this._add(known);
    this._entries.get(about.id).actions.focus();
    byId("announcer").textContent = isPinned(about.id) ? t("Pinned") : "";
  }

  gone(id) {
    this._deleted.add(id);
    unpin(id);
    const left = this._entries.get(id)?.element.contains(document.activeElement);
    this._remove(id);
    if (left) this._focusRoot();
  }

  _remove(id) {
    const list = this._entries.get(id)?.element.parentElement;
    this._entries.get(id)?.element.remove();
    this._entries.delete(id);
    if (list && !list.childElementCount) list.parentElement.remove();
    this._tellEmpty();
  }

  async _load() {
    const asked = (this._asked += 1);
    const query = byId("history-query").value.trim();
    if (this._inAnswers) say(this._empty, t("Searching in answers…"));
    const loaded = await tried(this._problem, async () => {
      const { sessions, next } = await this._ask(this._before);
      if (asked !== this._asked) return; // something else was looked for meanwhile
      if (!this._before) this._clear();
      for (const session of sessions) this._add(session);
      if (!query) for (const one of pins()) if (byId("history-filter").value.split(" ").includes(one.kind)) this._add(one);
      this._before = next;
      this._more.hidden = !next;
      if (query) byId("announcer").textContent = counted(this._entries.size, "{count} result in the history", "{count} results in the history");
      this._refreshIn(SOON_MS);
    });
    if (asked !== this._asked) return;
    this._tellEmpty();
    if (loaded) return;
    say(this._empty, null); // it is not known whether there is anything
    this._answers.hidden = !query;
  }

  async _ask(before) {
    const query = byId("history-query").value.trim();
    const kinds = byId("history-filter").value.split(" ").map((kind) => ["kind", kind]);
    const rest = Object.entries({ query, before, answers: this._inAnswers }).filter(([, value]) => value);
    const { sessions, next } = await this._api.sessions([["limit", PAGE], ...kinds, ...rest]);
    const there = sessions.filter(({ session_id: id }) => !this._deleted.has(id));
    return { sessions: there.map((session) => ({ ...session, id: session.session_id })), next };
  }

  /** Reads the list again, for new entries; never while the page is hidden, or while answers are searched. */
  _refreshIn(ms) {
    clearTimeout(this._refresh);
    if (!document.hidden && !this._inAnswers) this._refresh = setTimeout(() => this._refreshed(ms), ms);
  }

  async _refreshed(ms) {
    const asked = this._asked;
    const lost = ({ retryable, status }) => ({ lost: retryable || status >= 500 });
    const { sessions, next, lost: again = true } = await orElse(lost, () => this._ask(null));
    if (asked !== this._asked || !again) return;
    if (sessions) this._merge(sessions, next ? (sessions.at(-1)?.created_ms ?? Infinity) : 0);
    this._refreshIn(Math.min(ms * 2, SELDOM_MS));
  }

  /** All there are that were created after `since`. */
  _merge(sessions, since) {
    const ids = new Set(sessions.map(({ id }) => id));
    for (const [id, { about }] of this._entries) {
      if (about.created_ms > since && !ids.has(id) && !this._told.has(id)) this._remove(id);
    }
    for (const session of sessions) {
      if (!this._entries.has(session.id)) this._add(session);
      else if (!this._told.has(session.id)) this._rename(session);
    }
  }

  _clear() {
    this._entries.clear();
    this._lists.replaceChildren();
  }

  _tellEmpty() {
    const query = byId("history-query").value.trim();
    this._answers.hidden = !query || this._inAnswers;
    this._more.textContent = this._inAnswers ? t("Search older ones") : t("Show older ones");
    const found = query ? t("Nothing has these words in its title or its questions.") : t("Nothing here yet.");
    const none = this._inAnswers ? t("Nothing has these words in its title, its questions or its answers.") : found;
    const further = this._inAnswers ? t("Older ones have not been searched yet.") : null;
    say(this._empty, this._more.hidden ? (this._entries.size ? null : none) : further);
  }

  /** `order`: what is greater stands higher. */
  _add(about, order = about.created_ms) {
    if (this._entries.has(about.id)) return;
    const name = make("span", {}, nameOf(about));
    const kind = about.kind === "story" ? [make("span", { class: "unseen" }, ` (${t("story")})`), icon("story")] : [];
    const link = make("a", { href: hrefOf(about) }, name, ...kind);
    const actions = make("button", { type: "button", class: "icon", "aria-label": t("Actions for {name}", { name: name.textContent }) }, icon("more"));
    const element = make("li", { "data-order": order }, link, actions);
    this._entries.set(about.id, { about, element, name, actions });
    actions.addEventListener("click", () => {
      const entry = this._entries.get(about.id);
      this._onMenu(actions, { ...entry.about, title: entry.name.textContent });
    });
    markEntry(element, about.id === this._current);
    const list = this._listOf(isPinned(about.id) ? 0 : dayOf(about.created_ms));
    list.insertBefore(element, [...list.children].find((other) => Number(other.dataset.order) < order) ?? null);
    this._tellEmpty();
  }

  _listOf(day) {
    const sections = [...this._lists.children];
    const known = sections.find((section) => Number(section.dataset.day) === day);
    if (known) return known.lastElementChild;
    const list = make("ul", { "aria-label": DAYS[day] });
    const section = make("div", { "data-day": day }, make("p", { "aria-hidden": "true" }, DAYS[day]), list);
    this._lists.insertBefore(section, sections.find((later) => Number(later.dataset.day) > day) ?? null);
    return list;
  }

  _bindDrawer() {
    byId("open-sidebar").addEventListener("click", () => this.open());
    byId("close-sidebar").addEventListener("click", () => this.close());
    byId("shade").addEventListener("click", () => this.close());
    byId("sidebar").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this._isOpen) return;
      event.preventDefault();
      this.close();
    });
    WIDE.addEventListener("change", () => this.close());
    this._bindSwipes();
    this._show(false);
  }

  /** A finger from the left edge opens the drawer, one to the left closes it; sliders and what scrolls sideways are moved as ever. */
  _bindSwipes() {
    let from = null;
    addEventListener("touchstart", ({ touches, target }) => (from = touches.length === 1 && !target.closest?.("input") ? touches[0] : null), { passive: true });
    addEventListener("touchend", ({ changedTouches: [to] }) => {
      if (!from || WIDE.matches || "voice" in document.body.dataset) return;
      const [x, y] = [to.clientX - from.clientX, to.clientY - from.clientY];
      if (Math.abs(x) < SWIPE_PX || Math.abs(y) > Math.abs(x) / 2) return;
      if (x < 0) this.close();
      else if (from.clientX < EDGE_PX && !document.querySelector("dialog[open]")) this.open();
    }, { passive: true });
  }

  get _isOpen() {
    return document.body.hasAttribute("data-drawer");
  }

  open() {
    if (WIDE.matches) return;
    this._show(true);
    byId("close-sidebar").focus();
  }

  close() {
    const within = byId("sidebar").contains(document.activeElement);
    if (this._isOpen && within) {
      this._show(false);
      byId("open-sidebar").focus();
    } else this._show(false);
  }

  _show(open) {
    document.body.toggleAttribute("data-drawer", open);
    byId("sidebar").inert = !open && !WIDE.matches;
    byId("page").inert = open;
  }
}

const markEntry = (element, here) => {
  if (here) element.firstElementChild.setAttribute("aria-current", "page");
  else element.firstElementChild.removeAttribute("aria-current");
};

/** A narration belongs to its story. */
const hrefOf = ({ id, kind, parent }) => addressOf(kind === "narration" && parent ? { id: parent, kind: "story" } : { id, kind });
