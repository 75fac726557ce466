/** Advanced parameters of the speech provider: names and values, as many as one likes. */

import { icon, make, problemLine, say } from "../dom.js";
import { t } from "../strings.js";

/** The typed value: a number or a truth value where it looks like one, a text otherwise. */
export function valueOf(text) {
  const plain = text.trim();
  if (plain === "true" || plain === "false") return plain === "true";
  return plain !== "" && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(plain) ? Number(plain) : text;
}

export class ExtraRows {
  constructor(save) {
    this._save = save;
    this._done = make("span", { class: "done", role: "status" });
    this._problem = problemLine();
    this._rows = make("div", { class: "rows" });
    const add = make("button", { type: "button", class: "quiet" }, icon("plus"), t("Add"));
    add.addEventListener("click", () => this._add("", "").querySelector("input").focus());
    const head = make("div", { class: "head" }, make("span", {}, t("Advanced parameters")), this._done);
    this.element = make("div", { class: "setting extra", role: "group", "aria-label": t("Advanced parameters") });
    this.element.append(head, this._rows, add, this._problem);
  }

  show(extra) {
    if (this._rows.contains(document.activeElement)) return; // a row that is being typed would be gone
    this._rows.replaceChildren();
    for (const [name, value] of Object.entries(extra)) this._add(name, String(value));
  }

  say(done, problem) {
    this._done.textContent = done ?? "";
    if (problem !== null) say(this._problem, problem);
  }

  _add(name, value) {
    const key = make("input", { "aria-label": t("Parameter"), placeholder: t("name"), maxlength: "64" });
    const text = make("input", { "aria-label": t("Its value"), placeholder: t("value"), maxlength: "500" });
    key.value = name;
    text.value = value;
    const remove = make(
      "button",
      { type: "button", class: "icon", "aria-label": t("Remove"), title: t("Remove") },
      icon("close"),
    );
    const row = make("div", { class: "pair" }, key, text, remove);
    const changed = () => key.value.trim() && this._changed();
    key.addEventListener("change", changed);
    text.addEventListener("change", changed);
    remove.addEventListener("click", () => {
      row.remove();
      this._changed();
    });
    this._rows.append(row);
    return row;
  }

  _changed() {
    const pairs = [...this._rows.children].map((row) => [...row.querySelectorAll("input")].map(({ value }) => value));
    const named = pairs.map(([name, value]) => [name.trim(), value]).filter(([name]) => name);
    const twice = named.find(([name], at) => named.findIndex(([other]) => other === name) !== at);
    if (twice) this.say(null, t("“{name}” is there twice.", { name: twice[0] }));
    else this._save(Object.fromEntries(named.map(([name, value]) => [name, valueOf(value)])));
  }
}
