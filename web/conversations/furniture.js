/** Common parts of the library's places: the way between them, and small tools for lists. */

import { orElse } from "../api.js";
import { asSentence, byId, make, problemLine, say } from "../dom.js";
import { t } from "../strings.js";

const PLACES = [
  ["characters", t("Characters")],
  ["collections", t("Knowledge")],
];

/** Begin a place that is a page of lists: its root, with the way to its neighbours. */
export function furnish(current, ...content) {
  byId("composer").hidden = true;
  const links = PLACES.map(([name, words]) => {
    const link = make("a", { href: `./?${name}` }, words);
    if (name === current) link.setAttribute("aria-current", "page");
    return link;
  });
  const neighbours = make("nav", { class: "neighbours", "aria-label": t("Library") }, ...links);
  const root = byId("place");
  root.hidden = false;
  root.replaceChildren(neighbours, ...content);
  return root;
}

/** Runs `action`; what is refused is said in `line`. Resolves with whether it was done. */
export async function tried(line, action) {
  say(line, null);
  const refused = ({ message }) => {
    say(line, asSentence(message));
    return false;
  };
  return orElse(refused, async () => {
    await action();
    return true;
  });
}

/** A line that says `words` until `action` has ended, and then is gone; a refusal stays in it, with a button that tries again. */
export function loading(words, action) {
  const line = make("p", { class: "note", role: "status" }, words);
  const refused = ({ message }) => {
    const again = quiet(t("Retry"));
    const problem = make("p", { class: "problem", role: "alert" }, asSentence(message), " ", again);
    again.addEventListener("click", () => problem.replaceWith(loading(words, action)));
    line.replaceWith(problem);
  };
  void orElse(refused, async () => {
    await action();
    line.remove();
  });
  return line;
}

/** Runs the `action` of a form, whose button stands for nothing else meanwhile; `words` are in `line` until it is done or refused. */
export async function working(button, line, words, action) {
  if (button.disabled) return;
  button.disabled = true;
  const note = make("p", { class: "note", role: "status" }, words);
  line.before(note);
  await tried(line, action).finally(() => {
    note.remove();
    button.disabled = false;
  });
}

export const announce = (text) => (byId("announcer").textContent = text);

export const quiet = (words, label) => make("button", { type: "button", class: "quiet", ...(label && { "aria-label": label }) }, words);

/** Asks once more before it does what cannot be undone; whoever goes elsewhere has not meant it. */
export function removing(name, onRemove) {
  const button = quiet(t("Delete"), t("Delete {name}", { name }));
  const calm = () => {
    button.classList.remove("sure");
    button.textContent = t("Delete");
    button.setAttribute("aria-label", t("Delete {name}", { name }));
  };
  button.addEventListener("blur", calm);
  button.addEventListener("click", () => {
    if (button.classList.contains("sure")) {
      onRemove();
      return;
    }
    button.classList.add("sure");
    button.textContent = t("Delete for good?");
    button.setAttribute("aria-label", t("Delete {name} for good?", { name }));
  });
  return button;
}

/** Which collections: a box to tick for each. `{element, value, show(ids)}`. */
export function knowledge(collections, legend) {
  const boxes = collections.map(({ id, name }) => {
    const input = make("input", { type: "checkbox", name: "collection", value: id });
    return make("label", { class: "tick" }, input, make("span", {}, name));
  });
  const none = make("p", { class: "note" }, t("No documents yet."), " ", make("a", { href: "./?collections" }, t("Add some")), ".");
  const element = make("fieldset", { class: "knowledge" }, make("legend", {}, legend), ...(boxes.length ? boxes : [none]));
  const inputs = boxes.map((box) => box.firstElementChild);
  return {
    element,
    get value() {
      return inputs.filter(({ checked }) => checked).map(({ value }) => value);
    },
    show: (ids) => inputs.forEach((input) => (input.checked = ids.includes(input.value))),
  };
}
