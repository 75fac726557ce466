/** The fields of the settings: each shows a value, reports a new one, and says beside itself what became of it. */

import { make, say } from "../dom.js";
import { t } from "../strings.js";

let count = 0;

/** `{element, show(value), say(done, problem)}`; `say(null, null)` takes only the good news away. */
function field(kind, label, hint, control, show) {
  const id = `setting-${(count += 1)}`;
  control.id = id;
  const done = make("span", { class: "done", role: "status" });
  const problem = make("p", { class: "problem", role: "alert", id: `${id}-problem`, hidden: "" });
  const note = hint ? [make("p", { class: "note", id: `${id}-note` }, hint)] : [];
  control.setAttribute("aria-describedby", `${hint ? `${id}-note ` : ""}${id}-problem`);
  const head = make("div", { class: "head" }, make("label", { for: id }, label), done);
  const element = make("div", { class: `setting ${kind}` }, head, control, ...note, problem);
  const told = (good, bad) => {
    done.textContent = good ?? "";
    if (bad === null) return;
    say(problem, bad);
    control.setAttribute("aria-invalid", String(Boolean(bad)));
  };
  return { element, control, show, say: told };
}

export function toggle(label, hint, save) {
  const input = make("input", { type: "checkbox", role: "switch" });
  input.addEventListener("change", () => save(input.checked));
  return field("toggle", label, hint, input, (value) => (input.checked = value));
}

export function number(label, { min, max, unit, hint, empty }, save) {
  const input = make("input", { type: "number", min, max, step: "1", inputmode: "numeric", placeholder: empty ?? "" });
  let typing = false; // a half typed value is not replaced when another field was saved
  const made = field("number", `${label}, ${unit}`, hint, input, (value) => {
    if (!typing) input.value = value ?? "";
  });
  input.addEventListener("input", () => (typing = true));
  input.addEventListener("change", () => {
    typing = false;
    if (input.value === "" && empty) save(null);
    else if (input.value === "" || !input.checkValidity()) made.say(null, t("A number from {min} to {max}.", { min, max }));
    else save(Number(input.value));
  });
  return made;
}

export function range(label, { min, max, step, unit }, save) {
  const input = make("input", { type: "range", min, max, step });
  const output = make("output", {});
  const tell = () => (output.textContent = `${Number(input.value).toFixed(2)}${unit}`);
  const made = field("range", label, null, input, (value) => {
    input.value = String(value);
    tell();
  });
  made.element.querySelector("label").append(" ", output);
  input.addEventListener("input", tell);
  input.addEventListener("change", () => save(Number(input.value)));
  return made;
}

/** A list to choose from; see `options`. `beside` stands to its right. */
export function choice(label, beside, save, hint = null) {
  const select = make("select");
  const made = field("choice", label, hint, select, (value) => (select.value = value ?? ""));
  select.addEventListener("change", () => save(select.value || null));
  if (beside) {
    const row = make("div", { class: "beside" });
    select.replaceWith(row);
    row.append(select, beside);
  }
  return made;
}

export function options({ control }, entries) {
  const present = [...control.options].map(({ value }) => value);
  if (entries.length === present.length && entries.every(([value], at) => value === present[at])) return;
  control.replaceChildren(...entries.map(([value, text]) => make("option", { value }, text)));
}

/** `scope`: for what the fields count, where that has to be told. */
export function section(title, fields, scope = null) {
  const parts = Object.values(fields).map(({ element }) => element);
  const note = scope ? [make("p", { class: "note scope" }, scope)] : [];
  return make("fieldset", {}, make("legend", {}, title), ...note, ...parts);
}
