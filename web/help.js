/** The keys that do something, in a dialog. */

import { makeDialog } from "./dialog.js";
import { make } from "./dom.js";
import { t } from "./strings.js";

const KEYS = [
  [t("Space"), t("Pause the voice, or go on")],
  ["→", t("Skip this sentence")],
  ["←", t("Back to the beginning of the sentence, or to the one before")],
  [t("Shift+→, Shift+←"), t("Next or previous scene of a story")],
  [t("Esc"), t("Stop; close what is open; end voice mode")],
  ["Enter", t("Send · Shift+Enter for a new line")],
  [t("Space, held"), t("On the microphone, or anywhere in voice mode: talk, where that is chosen; Esc takes it back")],
  [t("Tab"), t("From one control to the next")],
  ["?", t("This help")],
];

export function openHelp() {
  if (document.querySelector("dialog[open]")) return;
  const rows = KEYS.flatMap(([key, meaning]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, meaning)]);
  makeDialog(t("Keyboard shortcuts"), { id: "help" }, make("dl", { class: "keys" }, ...rows));
}
