/** Dialogs: made when they are opened, gone when they are closed. */

import { icon, make } from "./dom.js";
import { t } from "./strings.js";

/** A dialog with a title and a way out; it is gone from the page once it is closed. */
export function makeDialog(title, { id, kind = "" }, ...content) {
  const close = make(
    "button",
    { type: "button", class: "icon", "aria-label": t("Close"), title: t("Close (Esc)") },
    icon("close"),
  );
  const heading = make("h2", { id: `${id}-title` }, title);
  const dialog = make("dialog", { id, class: kind, "aria-labelledby": `${id}-title` });
  dialog.append(make("header", {}, heading, close), make("div", { class: "content" }, ...content));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
