/** Another name for something. */

import { makeDialog } from "../dialog.js";
import { make, problemLine } from "../dom.js";
import { tried } from "./furniture.js";
import { t } from "../strings.js";

/** A dialog with one line of text; `onSave(text)` rejects with a Problem or resolves. */
export function renaming(title, label, value, onSave) {
  const input = make("input", { maxlength: "200", required: "", "aria-label": label });
  input.value = value;
  const problem = problemLine();
  const form = make("form", { class: "share-form" }, input, make("button", { type: "submit", class: "button" }, t("Save")));
  const dialog = makeDialog(title, { id: "renaming" }, form, problem);
  input.select();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (input.value.trim() && (await tried(problem, () => onSave(input.value.trim())))) dialog.close();
  });
}
