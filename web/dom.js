/** The little that is needed to build a page by hand. Data only ever becomes text or an attribute. */

import { t } from "./strings.js";

const COPIED_MS = 2_000;
const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with attributes (`class`, `data-x`, …) and children (nodes or strings). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  setIcon(svg, name);
  return svg;
}

/** Sets nothing that is set already: a `use` that is renewed between press and release swallows the click. */
export function setIcon(icon, name) {
  const use = icon.querySelector("use") ?? icon;
  if (use.getAttribute("href") !== `#i-${name}`) use.setAttribute("href", `#i-${name}`);
}

/** Show `text`, or hide the element when there is none. */
export function say(element, text) {
  if (element.textContent !== (text ?? "")) element.textContent = text ?? "";
  element.hidden = !text;
}

/** A line for a refusal: empty, and hidden, until there is one. */
export const problemLine = () => make("p", { class: "problem", role: "alert", hidden: "" });

/** Whether the browser let the text be copied. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (error) {
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    return false;
  }
}

/** Copies the text, and says so for a moment on `label`, whose words are `usual`. Resolves as `copied`. */
export async function copyBy(label, text, usual = t("Copy")) {
  const done = await copied(text);
  label.textContent = done ? t("Copied") : t("Not allowed here");
  setTimeout(() => (label.textContent = usual), COPIED_MS);
  return done;
}

const TYPED_IN = "input:not([type=radio], [type=range], [type=checkbox]), textarea, select";

/** Whether a key means a character there. The page's own box, while it is empty, leaves keys to the player. */
export function isTyping(element) {
  return Boolean(element.closest?.(TYPED_IN)) && !(element.id === "text" && element.value === "");
}

/** `details` is closed by a press, or by the focus, elsewhere. */
export function closedElsewhere(details) {
  const close = (target) => {
    if (target && !details.contains(target)) details.open = false;
  };
  addEventListener("pointerdown", ({ target }) => close(target));
  details.addEventListener("focusout", ({ relatedTarget }) => close(relatedTarget));
}

/** A function that draws once, soon, however often it is called. */
export function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

/** A message as a sentence: capital letter, full stop. */
export function asSentence(message) {
  const text = message.trim();
  if (!text) return t("Something went wrong.");
  return text[0].toUpperCase() + text.slice(1) + (/[.!?…。！？]$/.test(text) ? "" : ".");
}

export function clockTime(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
