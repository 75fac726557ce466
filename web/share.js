/** Links with which others may listen to a session: make, copy, list, take back. */

import { Api } from "./api.js";
import { tried } from "./conversations/furniture.js";
import { makeDialog } from "./dialog.js";
import { copied, make, problemLine } from "./dom.js";
import { when } from "./times.js";
import { counted, t } from "./strings.js";

const DAYS = [
  ["", t("until it is revoked")],
  ["3600", t("for an hour")],
  ["86400", t("for a day")],
  ["604800", t("for a week")],
];

export function openShares(session) {
  new Shares(session).open();
}

class Shares {
  constructor(session) {
    this._session = session;
    this._api = new Api();
    this._label = make("input", {
      placeholder: t("For whom? (only you see this)"),
      maxlength: "200",
      "aria-label": t("For whom"),
    });
    this._lasts = make(
      "select",
      { "aria-label": t("Valid") },
      ...DAYS.map(([value, text]) => make("option", { value }, text)),
    );
    this._make = make("button", { type: "submit", class: "button" }, t("Make a link"));
    this._problem = problemLine();
    this._link = make("input", { readonly: "", "aria-label": t("The link") });
    this._copy = make("button", { type: "button", class: "quiet" }, t("Copy"));
    this._made = make("div", { class: "made-link", hidden: "" }, this._link, this._copy);
    this._list = make("ul", { class: "shelf", "aria-label": t("Valid links") });
    this._note = make("p", { class: "note", role: "status" });
  }

  open() {
    const words = t("The link lets its holder listen and read this session, and nothing else.");
    const form = make("form", { class: "share-form" }, this._label, this._lasts, this._make);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this._new();
    });
    this._copy.addEventListener("click", () => this._copied());
    this._link.addEventListener("focus", () => this._link.select());
    makeDialog(
      t("Share"),
      { id: "shares" },
      make("p", { class: "note" }, words),
      form,
      this._made,
      this._problem,
      this._note,
      this._list,
    );
    void this._load();
  }

  _try(action) {
    return tried(this._problem, action);
  }

  async _new() {
    if (this._make.disabled) return;
    this._make.disabled = true;
    const lasts = this._lasts.value ? { expires_in: Number(this._lasts.value) } : {};
    await this._try(async () => {
      const { url } = await this._api.share(this._session, { label: this._label.value.trim(), ...lasts });
      this._link.value = url;
      this._made.hidden = false;
      await this._copied();
      await this._load();
    });
    this._make.disabled = false;
  }

  async _copied() {
    const done = await copied(this._link.value);
    this._note.textContent = done
      ? t("The link is copied. It is shown only now.")
      : t("Copy the link from the box: the browser keeps its clipboard to itself. It is shown only now.");
    if (!done) this._link.focus();
  }

  _load() {
    return this._try(async () => {
      const { shares } = await this._api.shares(this._session);
      this._list.replaceChildren(...shares.map((share) => this._item(share)));
      if (!this._link.value)
        this._note.textContent = shares.length ? counted(shares.length, "{count} link can be listened with.", "{count} links can be listened with.") : "";
    });
  }

  _item({ share_id: id, label, created_at: created, expires_at: expires }) {
    const until = expires ? t("until {when}", { when: when(Date.parse(expires)) }) : t("until it is revoked");
    const about = make("span", { class: "about" }, `${t("made {when}", { when: when(Date.parse(created)) })} · ${t("valid {until}", { until })}`);
    const revoke = make(
      "button",
      { type: "button", class: "quiet", "aria-label": t("Revoke {name}", { name: label || t("the link") }) },
      t("Revoke"),
    );
    const entry = make("li", {}, make("div", {}, make("strong", {}, label || t("A link")), about), revoke);
    revoke.addEventListener("click", () =>
      this._try(async () => {
        await this._api.revoke(this._session, id);
        await this._load();
      }),
    );
    return entry;
  }
}
