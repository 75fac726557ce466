/** Speech while it is transcribed: the beginning of a question. */

import { asSentence, byId, make } from "../dom.js";
import { refusalOf } from "../refusals.js";
import { t } from "../strings.js";

const WAITING = { speaking: t("Listening"), understanding: t("Transcribing") };

export class SpeechView {
  constructor() {
    this._root = byId("speech");
    this._shown = null;
  }

  /** Returns the element, or null when nobody says anything. */
  update(utterances) {
    const shown = JSON.stringify(utterances);
    if (shown !== this._shown) this._root.replaceChildren(...[...this._notes(utterances), ...this._question(utterances)]);
    this._shown = shown;
    this._root.hidden = utterances.length === 0;
    return this._root.hidden ? null : this._root;
  }

  /** Utterances that are no question: written down, or not transcribed. */
  *_notes(utterances) {
    for (const { state, text, code, message } of utterances) {
      if (state === "noted") yield make("p", { class: "noted" }, text);
      if (state === "failed") yield make("p", { class: "problem" }, t("Not understood: {message}", { message: asSentence(refusalOf({ code, message })) }));
    }
  }

  *_question(utterances) {
    const parts = utterances.filter(({ state }) => state !== "noted" && state !== "failed");
    if (parts.length === 0) return;
    const last = parts.at(-1);
    const words = parts.flatMap(({ text, stable }, number) => {
      const letters = [...text];
      const firm = make("span", { class: "firm" }, letters.slice(0, stable).join(""));
      const loose = make("span", { class: "loose" }, letters.slice(stable).join(""));
      return number ? [" ", firm, loose] : [firm, loose];
    });
    const dots = make("span", { class: "dots", "aria-hidden": "true" });
    const state = make("span", { class: "unseen" }, `${WAITING[last.state] ?? t("Understood")}: `);
    yield make("p", { class: "prompt coming", dir: "auto", "data-state": last.state }, state, ...words, dots);
  }
}
