/** One conversation: with whom, about what, and who else takes part. Asking and hearing are as everywhere. */

import { Api, orElse } from "../api.js";
import { AskPlace } from "../ask.js";
import { userName } from "../credentials.js";
import { byId, make, say } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { openPeople } from "./people.js";
import { quiet, renaming } from "./furniture.js";

const MODES = [{ mode: "prompt", label: "Ask", placeholder: "Say something…" }];

export class ThreadPlace {
  constructor(id) {
    this.id = id;
    this._api = new ConversationsApi();
    this._thread = null;
    this._asking = new AskPlace({
      id,
      listening: false,
      modes: MODES,
      ask: (thread, { prompt, settings }, key) => this._api.ask(thread, prompt, { aloud: settings.speak, key }),
      onStory: (story) => this._told(story),
    });
  }

  get listening() {
    return this._asking.listening;
  }

  stats() {
    return this._asking.stats();
  }

  async start() {
    this._title = make("h1", { hidden: "" });
    this._about = make("p", { class: "premise" });
    this._rename = quiet("Rename");
    this._people = quiet("People");
    this._tools = make("div", { class: "thread-tools", hidden: "" }, this._rename, this._people);
    this._empty = make("p", { class: "note", hidden: "" }, "Ask something, by hand or by voice. The answer is read to you.");
    byId("story").before(
      make("header", { class: "story-head thread-head" }, this._title, this._about, this._tools, this._empty),
    );
    this._rename.addEventListener("click", () =>
      renaming("Rename", "Title", this._title.textContent, (title) => this._api.rename(this.id, title)),
    );
    this._people.addEventListener("click", () => openPeople(this._thread, this._api));
    const started = this._asking.start();
    byId("new-session").hidden = true;
    await Promise.all([started, this._learn()]);
    if (matchMedia("(hover: hover)").matches) byId("text").focus({ preventScroll: true });
  }

  /** Who it is with, and what they know. */
  async _learn() {
    const thread = await orElse(
      () => null, // the connection says why
      () => this._api.thread(this.id),
    );
    if (!thread) return;
    this._thread = thread;
    const mine = thread.owner === "" || thread.owner === userName();
    this._tools.hidden = false;
    this._rename.hidden = !mine;
    this._people.hidden = !mine || thread.owner === "";
    byId("share").hidden = !mine;
    if (this._title.textContent === "") say(this._title, thread.title || "A new talk");
    const who = thread.character ? [make("span", {}, `with ${thread.character.name}`)] : [];
    const { settings } = await orElse(
      () => ({ settings: null }),
      () => new Api().session(this.id),
    );
    const known = await Promise.all((settings?.collections ?? []).map((one) => this._nameOf(one)));
    const links = known.map(({ id, name }) =>
      make("a", { href: `./?collection=${encodeURIComponent(id)}` }, name || "documents"),
    );
    const knows = links.flatMap((link, at) => [at ? ", " : `${who.length ? " · knows " : "Knows "}`, link]);
    this._about.replaceChildren(...who, ...knows);
    this._about.hidden = !who.length && !knows.length;
  }

  _nameOf(id) {
    return orElse(
      () => ({ id, name: "" }),
      () => this._api.collection(id),
    );
  }

  _told(story) {
    if (story.lastSeq === 0) return;
    say(this._title, story.title || "A new talk");
    this._empty.hidden = story.order.length > 0;
  }
}
