/** The files of a chat: in a knowledge base of its own, which is made with the first one; and a word where its knowledge is empty. The list opens by itself where a file failed. */

import { orElse, Problem } from "../api.js";
import { byId, make, oncePerFrame, problemLine, say } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { DocumentList } from "./document-list.js";
import { FollowedCollection } from "./followed-collection.js";
import { standing } from "./shelf.js";
import { counted, t } from "../strings.js";

const NAME_CHARS = 200;
const isComing = ({ state }) => state !== "ready" && state !== "failed";

export class ChatFiles {
  /** `chat`: {id, name, begun(), settings(), choose({collections})}, as ChatPlace has them. */
  constructor(chat) {
    this._chat = chat;
    this._api = new ConversationsApi();
    this._bases = new Map(); // by id: {info: as the server told it, null: not yet, "gone"; followed; chosen}
    this._learning = new Set(); // ids that the server was asked about
    this._making = null;
    this._coming = []; // files that wait for their knowledge base
    this._waiting = []; // functions to call when anything changes
    this._refused = null; // why the last ones could not even be sent
    this._toldFailed = []; // documents that failed, as the last question was told
    this._failed = []; // documents of this page's files that failed, as they were drawn
    this._sought = null; // the document whose row is to be in sight
    this._left = false;
    this._spoken = false;
    this._told = ""; // below the box
    this._paint = oncePerFrame(() => this._draw());
    this._root = byId("attached");
    this._note = byId("knowledge-note");
    const problem = problemLine();
    this._list = new DocumentList(problem);
    this._about = make("p", { class: "note" });
    this._root.replaceChildren(this._root.firstElementChild, this._list.element, problem, this._about);
    this._root.open = false;
  }

  /** `chosen`: the collections that the chat searches; `spoken`: questions are asked by voice just now. */
  update(chosen, spoken) {
    this._spoken = spoken;
    for (const id of chosen) if (!this._bases.has(id)) this._learn(id);
    for (const [id, base] of this._bases) {
      if (chosen.includes(id)) base.chosen = true;
      else if (base.chosen) this._forget(id);
    }
    this._paint();
  }

  /** Rejects with a Problem. */
  async add(files) {
    this._coming.push(...files);
    this._paint();
    try {
      const own = this._own ?? (await (this._making ??= this._make(files[0].name).finally(() => (this._making = null))));
      own.uploads.send(files);
    } catch (error) {
      this._refused = error;
      throw error;
    } finally {
      this._coming = this._coming.filter((file) => !files.includes(file));
      this._changed();
    }
  }

  /** Resolves when every file can be found; `tell(words, {atOnce})` says what is waited for. Rejects with a Problem where one failed, once. */
  async ready(tell) {
    this._refused = null;
    if (this._learning.size) tell(t("The question is sent when the documents of this chat are known."), { atOnce: false });
    await Promise.all(this._learning);
    for (let [first] = this._unread; first; [first] = this._unread) {
      tell(t("The question is sent when {name} is read.", { name: first.name }));
      await new Promise((resolve) => this._waiting.push(resolve));
    }
    if (this._refused) throw this._refused;
    const before = this._toldFailed;
    this._toldFailed = this._documents.filter(({ state }) => state === "failed").map(({ id }) => id);
    const failed = this._documents.find(
      ({ id }) => this._toldFailed.includes(id) && !before.includes(id) && this._own?.uploads.has(id), // else it failed before this page was loaded
    );
    if (!this._left) this._openAt(failed); // else it is another chat's by now
    if (!failed) return;
    const detail = t("The file {name} could not be added. Ask again to do without it.", { name: failed.name });
    throw new Problem({ detail, code: "document.failed" });
  }

  /** The list with the row of this document in sight; closed without one. */
  _openAt(document) {
    this._root.open = Boolean(document);
    this._sought = document?.id ?? null;
    this._paint();
  }

  /** Files on their way go on; nothing more is shown here. */
  leave() {
    this._left = true;
    this._root.hidden = true;
    this._note.hidden = true;
    this._changed();
  }

  get _ownBase() {
    const isOwn = ({ info, followed }) => info.thread === this._chat.id && !followed.shelf.over;
    return [...this._bases.values()].filter(({ followed }) => followed).find(isOwn);
  }

  get _own() {
    return this._ownBase?.followed ?? null;
  }

  get _documents() {
    return this._own?.documents ?? [];
  }

  /** Files that no answer can use yet: {name}. */
  get _unread() {
    const { info, followed } = this._ownBase ?? {};
    const others = followed && !followed.isKnown && info.unfinished ? [info] : []; // which ones its events will tell
    return [...this._coming, ...this._documents.filter(isComing), ...others];
  }

  async _make(file) {
    await this._chat.begun();
    const { collections } = await this._chat.settings();
    await Promise.all(collections.map((id) => this._learn(id)));
    if (this._own) return this._own;
    const info = await this._api.createCollection((this._chat.name || file).slice(0, NAME_CHARS), this._chat.id);
    const kept = collections.filter((id) => this._bases.has(id) && this._bases.get(id).info !== "gone"); // it may be unticked by now
    const undo = async (error) => {
      await orElse(() => {}, () => this._api.removeCollection(info.id));
      throw error;
    };
    await orElse(undo, () => this._chat.choose({ collections: [...kept, info.id] }));
    return this._know(info).followed;
  }

  _learn(id) {
    const learning = this._ask(id).finally(() => this._learning.delete(learning));
    this._learning.add(learning);
    return learning;
  }

  async _ask(id) {
    const base = this._bases.get(id) ?? { info: null, followed: null, chosen: false };
    this._bases.set(id, base);
    const refused = ({ status }) => (status === 404 ? "gone" : null);
    const info = await orElse(refused, () => this._api.collection(id));
    if (info?.id && this._bases.get(id) === base) this._know(info);
    else base.info ??= info;
    this._changed();
  }

  /** One that is the chat's own, or empty, is followed: by its events the page knows when that is over. */
  _know(info) {
    const base = this._bases.get(info.id) ?? { info, followed: null, chosen: false };
    this._bases.set(info.id, base);
    base.info = info;
    if (!base.followed && (info.thread === this._chat.id || !info.documents)) {
      base.followed = new FollowedCollection({ id: info.id, api: this._api, onChange: () => this._changed() });
      base.followed.open();
    }
    return base;
  }

  _forget(id) {
    this._bases.get(id).followed?.close();
    this._bases.delete(id);
  }

  _changed() {
    for (const wake of this._waiting.splice(0)) wake();
    if (!this._left) this._paint();
    else if (!this._unread.length) for (const id of [...this._bases.keys()]) this._forget(id);
  }

  _draw() {
    if (this._left) return;
    const own = this._own;
    if (own) this._list.update(own);
    const documents = this._documents;
    const failed = documents.filter(({ id, state }) => state === "failed" && own.uploads.has(id)).map(({ id }) => id);
    const news = failed.find((id) => !this._failed.includes(id));
    if (news) this._openAt({ id: news });
    this._failed = failed;
    this._root.hidden = !(documents.length || this._coming.length);
    const [, name] = this._root.firstElementChild.children;
    say(name, this._summary(documents));
    this._tellWhere(own);
    this._tellTrouble();
    if (this._sought) this._list.reveal(this._sought);
    this._sought = null;
  }

  _summary(documents) {
    const all = [...documents, ...this._coming];
    if (!all.length) return null;
    const what = all.length === 1 ? all[0].name : counted(all.length, "{count} file", "{count} files");
    if (this._coming.length) return `${what} · ${t("Creating the knowledge base… The first one may take a moment.")}`;
    const first = documents.find(({ state }) => state === "failed") ?? documents.find(isComing);
    if (!first) return what;
    return [what, ...(all.length > 1 ? [first.name] : []), standing(first)].join(" · ");
  }

  _tellWhere(own) {
    const { name } = own?.shelf ?? { name: "" };
    if (!name || this._about.dataset.name === name) return;
    this._about.dataset.name = name;
    const link = make("a", { href: `./?collection=${encodeURIComponent(own.id)}` }, name);
    this._about.replaceChildren(t("The files of this chat are a knowledge base, which is deleted with it:"), " ", link);
  }

  /** Which of what is chosen says nothing to any question, and why. */
  _tellTrouble() {
    const [words, link] = this._trouble();
    if (this._told === words) return;
    this._told = words;
    this._note.replaceChildren(words, ...(link ? [" ", make("a", { href: `./?collection=${encodeURIComponent(link)}` }, t("Add some")), "."] : []));
    this._note.hidden = !words;
  }

  /** [words, id of what to add to]; no words where all is well. */
  _trouble() {
    if (this._spoken && this._unread.length) return [t("Spoken questions are answered without a file that is still being read.")];
    for (const { info, followed, chosen } of this._bases.values()) {
      if (!chosen || !info) continue;
      if (info === "gone" || followed?.shelf.over) return [t("A knowledge base of this chat was deleted.")];
      if (!followed) continue;
      const { documents, isKnown, shelf } = followed;
      const isEmpty = isKnown ? !documents.some(({ view }) => view) : !info.documents;
      if (isEmpty && !(followed === this._own && documents.length + this._coming.length)) {
        return [t("“{name}” has no documents yet.", { name: shelf.name || info.name }), info.id];
      }
    }
    return [""];
  }
}
