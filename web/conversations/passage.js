/** A passage in its document: the text around it, and where that stands. */

import { orElse } from "../api.js";
import { makeDialog } from "../dialog.js";
import { asSentence, make, say } from "../dom.js";
import { ConversationsApi } from "./api.js";
import { placeOf } from "./sources.js";
import { t } from "../strings.js";

const AROUND = 1_200;
const MOST = 20_000;
const HIDDEN = new Set([401, 403, 404]); // another user's document: the cited part of it is in the conversation

export function openPassage(passage) {
  new PassageView(passage).open();
}

/** The document from its beginning. */
export function openDocument({ id: document, collection, title }) {
  new PassageView({ collection, document, title, page: null, headings: [], text: "", start: 0, end: 0 }).open();
}

class PassageView {
  constructor(passage) {
    this._passage = passage;
    this._api = new ConversationsApi();
    this._around = AROUND;
    this._where = make("p", { class: "note" });
    say(this._where, placeOf(passage) === passage.title ? null : placeOf(passage));
    this._text = make("div", { class: "excerpt", dir: "auto", tabindex: "0", role: "region", "aria-label": t("Text") });
    this._more = make("button", { type: "button", class: "quiet", hidden: "" }, t("Show more around it"));
    this._note = make("p", { class: "note", role: "status", hidden: "" });
    this._more.addEventListener("click", () => this._load(Math.min(this._around * 4, MOST)));
  }

  open() {
    this._show({ text: this._passage.text, at: this._passage.start, start: this._passage.start, end: this._passage.end });
    makeDialog(this._passage.title, { id: "passage", kind: "wide" }, this._where, this._note, this._text, this._more);
    void this._load(AROUND);
  }

  async _load(around) {
    const { collection, document, start, end } = this._passage;
    const refused = ({ status, message }) =>
      say(this._note, HIDDEN.has(status) ? t("The whole document is not yours to open, or is gone.") : asSentence(message));
    const asked = end > start ? { start, end, context: around } : { start, context: 0 };
    await orElse(refused, async () => {
      const found = await this._api.text(collection, document, asked);
      this._around = around;
      this._show(end > start ? found : { ...found, end: 0 });
      if (end === start) {
        say(this._note, found.end < found.characters ? t("The first {end} of {characters} characters.", found) : null);
        return;
      }
      this._more.hidden = around >= MOST || found.text.length >= found.characters;
      say(this._note, null);
    });
  }

  /** The passage with a light on it; everything counts code points. */
  _show({ text, at, start, end }) {
    const characters = Array.from(text);
    const part = (from, to) => characters.slice(Math.max(0, from - at), Math.max(0, to - at)).join("");
    const lit = make("mark", {}, part(start, end));
    this._text.replaceChildren(
      ...(at > 0 ? ["… "] : []),
      part(at, start),
      lit,
      part(end, at + characters.length),
    );
    if (this._text.isConnected) lit.scrollIntoView({ block: "center" });
  }
}
