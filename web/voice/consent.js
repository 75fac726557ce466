/** The question that is asked before a browser is listened to for the first time. */

import { makeDialog } from "../dialog.js";
import { make } from "../dom.js";
import { t } from "../strings.js";

/** Resolves to whether the audio is to be saved, or to null when the user closes the question: nothing begins then. */
export function askForConsent() {
  return new Promise((resolve) => {
    const answer = (record, words, kind) => {
      const button = make("button", { type: "button", class: kind }, words);
      button.addEventListener("click", () => {
        resolve(record);
        dialog.close();
      });
      return button;
    };
    const no = answer(false, t("Text only"), "button");
    no.autofocus = true;
    const dialog = makeDialog(
      t("Save your audio?"),
      { id: "consent" },
      make("p", {}, t("What you say is transcribed, and the text is part of the chat. The audio itself is not saved unless you want it.")),
      make("p", { class: "note" }, t("Saved audio can be replayed in the chat and is deleted with it. You can change this in the settings at any time.")),
      make("div", { class: "answers" }, no, answer(true, t("Save my audio too"), "quiet")),
    );
    dialog.addEventListener("close", () => resolve(null));
  });
}
