/** The keys that do something, in a dialog. */

import { makeDialog } from "./dialog.js";
import { isTyping, make } from "./dom.js";

const KEYS = [
  ["Space", "Pause the voice, or go on"],
  ["→", "Skip this sentence"],
  ["←", "Back to the beginning of the sentence, or to the one before"],
  ["Esc", "Stop; close what is open"],
  ["Enter", "Send · Shift+Enter for a new line"],
  ["Space, held", "On the microphone: talk, where that is chosen; Esc takes it back"],
  ["Tab", "From one control to the next"],
  ["?", "This help"],
];

function openHelp() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.flatMap(([key, meaning]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, meaning)]);
  makeDialog("Keyboard shortcuts", { id: "help" }, make("dl", { class: "keys" }, ...rows));
}

/** On the button, and on "?" wherever that is not being typed. */
export function bindHelp(button) {
  button.addEventListener("click", openHelp);
  addEventListener("keydown", (event) => {
    if (event.key !== "?" || isTyping(event.target)) return;
    event.preventDefault();
    openHelp();
  });
}
