/** The actions of a conversation or a story, in a menu beside it: in the header and in the history. */

import { addressOf } from "./addresses.js";
import { Api, orElse } from "./api.js";
import { quiet, removing } from "./conversations/furniture.js";
import { renaming } from "./conversations/renaming.js";
import { userName } from "./credentials.js";
import { makeDialog } from "./dialog.js";
import { asSentence, byId, copied, make } from "./dom.js";
import { isPinned } from "./pins.js";
import { t } from "./strings.js";

const COPIED_MS = 2_000;
const FILES = [
  [t("Audio (MP3)"), "/audio", { format: "mp3" }],
  [t("Audio (WAV)"), "/audio", { format: "wav" }],
  [t("Audio (Opus)"), "/audio", { format: "opus" }, "story"],
  [t("Captions (VTT)"), "/captions.vtt", {}],
  [t("Captions (SRT)"), "/captions.srt", {}],
  [t("Chapters (VTT)"), "/chapters.vtt", {}, "story"],
  [t("All events (ZIP)"), "/export", {}],
];

export class Menu {
  /** `onRenamed(about, title)`, `onPinned(about)`, `onDeleted(about)`, `onProblem(text)`; `about`: {id, kind, title}. */
  constructor({ onRenamed, onPinned, onDeleted, onProblem }) {
    this._api = new Api();
    this._on = { onRenamed, onPinned, onDeleted, onProblem };
    this._element = byId("menu");
    this._element.addEventListener("keydown", (event) => this._key(event));
    new ResizeObserver(() => this._button && this._stand(this._button.getBoundingClientRect())).observe(this._element); // a question before a deletion is longer than its button was
  }

  /** Beside `button`; once more, and it is closed. */
  toggle(button, about) {
    if (this._element.matches(":popover-open") && this._button === button) {
      this._element.hidePopover();
      return;
    }
    this._button = button;
    this._element.replaceChildren(...this._items(about));
    this._element.setAttribute("aria-label", t("Actions for {name}", { name: about.title }));
    this._element.showPopover({ source: button });
    this._stand(button.getBoundingClientRect());
    this._element.firstElementChild.focus();
  }

  _stand({ right, bottom, top }) {
    const { offsetWidth: width, offsetHeight: height, style } = this._element;
    style.left = `${Math.max(8, Math.min(right - width, innerWidth - width - 8))}px`;
    style.top = `${bottom + height + 8 < innerHeight ? bottom + 4 : Math.max(8, top - height - 4)}px`;
  }

  *_items(about) {
    const { id, title } = about;
    yield this._item(t("Share"), async () => (await import("./share.js")).openShares(id));
    yield this._copier(about);
    yield this._item(t("Download"), () => this._download(about));
    const timeline = make("a", { class: "quiet", href: `./?timeline=${encodeURIComponent(id)}` }, t("Timeline"));
    timeline.addEventListener("click", () => this._element.hidePopover());
    yield timeline;
    if (about.kind === "thread" && userName() !== "me") {
      yield this._item(t("People"), async () => (await import("./conversations/people.js")).openPeople(id));
    }
    yield this._item(isPinned(id) ? t("Unpin") : t("Pin"), () => this._on.onPinned(about));
    yield this._item(t("Rename"), () =>
      renaming(t("Rename"), t("Title"), title, async (text) => {
        await this._api.rename(id, text);
        this._on.onRenamed(about, text);
      }),
    );
    yield removing(title, () => this._delete(about));
  }

  _item(words, action) {
    const item = quiet(words);
    item.addEventListener("click", () => {
      this._element.hidePopover();
      void action();
    });
    return item;
  }

  _copier(about) {
    const copy = quiet(userName() === "me" ? t("Copy link") : t("Copy link for yourself")); // others need a share
    copy.addEventListener("click", async () => {
      const address = new URL(addressOf(about), document.baseURI).href;
      if (await copied(address)) {
        copy.textContent = t("Copied");
        setTimeout(() => this._element.hidePopover(), COPIED_MS);
      } else {
        this._element.hidePopover();
        this._on.onProblem(t("The link is {address}", { address })); // the browser keeps its clipboard to itself
      }
    });
    return copy;
  }

  _download({ id, kind }) {
    const files = FILES.filter(([, , , only = kind]) => only === kind);
    const links = files.map(([name, path, query]) =>
      make("li", {}, make("a", { href: this._api.link(id, path, query), download: "" }, make("strong", {}, name))),
    );
    makeDialog(t("Download"), { id: "download" }, make("ul", { class: "shelf" }, ...links));
  }

  async _delete(about) {
    this._element.hidePopover();
    const refused = ({ message }) => this._on.onProblem(asSentence(message));
    await orElse(refused, async () => {
      if (about.kind === "story") {
        const { StoriesApi } = await import("./stories/api.js");
        await new StoriesApi().remove(about.id); // with what was read out of it
      } else await this._api.remove(about.id);
      this._on.onDeleted(about);
    });
  }

  _key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...this._element.children];
    items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
  }
}
