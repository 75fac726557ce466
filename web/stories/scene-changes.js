/** Changes of a scene: it is written again, its text is edited, its paragraphs are spoken by other voices. */

import { loading } from "../conversations/furniture.js";
import { asSentence, icon, make, say } from "../dom.js";
import { voiceOptions } from "../languages.js";
import { refusalOf } from "../refusals.js";
import { isOver } from "../story.js";
import { beginning, counted, t } from "../strings.js";
import { codePoints } from "../text.js";
import { directionOf } from "./chapters.js";

const button = (name, label) => make("button", { type: "button", class: "quiet" }, icon(name), label);

/** `[{start, end, words}]`, places in code points; blank lines lie between paragraphs. Pure. */
export function paragraphsOf(text) {
  let at = 0;
  const parts = text.split(/(\n\s*\n)/).map((part) => {
    const words = part.trim();
    const start = at + codePoints(part) - codePoints(part.trimStart());
    at += codePoints(part);
    return { start, end: start + codePoints(words), words };
  });
  return parts.filter(({ words }) => words);
}

/** Which voice speaks each paragraph, "" where it is the story's; `voices` are marks of the log or parts to be sent. Pure. */
export function voicesBy(paragraphs, voices) {
  const of = ({ start }) => voices.find((part) => part.start <= start && start < part.end);
  return paragraphs.map((paragraph) => of(paragraph)?.value ?? of(paragraph)?.voice ?? "");
}

/** The parts that these voices, one for each paragraph, speak. Pure. */
export function partsOf(paragraphs, names) {
  return paragraphs.flatMap(({ start, end }, number) => (names[number] ? [{ start, end, voice: names[number] }] : []));
}

export class SceneChanges {
  /**
   * Handlers: onWrite(direction) and onText(text, voices) resolve with true once the server has taken it; onVoices(voices, parts):
   * who speaks what, and the parts that are spoken again; `voices()` resolves with `[{id, languages}]`.
   */
  constructor({ onWrite, onText, onVoices, voices }) {
    this._on = { onWrite, onText, onVoices, voices };
    this._write = button("again", t("Write again"));
    this._text = button("edit", t("Edit text"));
    this._voices = button("wave", t("Voices"));
    this.elements = [this._write, this._text, this._voices];
    this.problem = make("p", { class: "problem", role: "alert", hidden: "" });
    this.form = make("form", { class: "edit", hidden: "" });
    this._write.addEventListener("click", () => this._open(this._write, [this._directions()], t("Write again")));
    this._text.addEventListener("click", () => this._open(this._text, [this._words()], t("Save")));
    this._voices.addEventListener("click", () => this._openVoices());
    this.form.addEventListener("keydown", (event) => this._key(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    this._opener = null;
    this._sending = null;
  }

  update(scene, { folded, sound }) {
    this._scene = scene;
    this._heard = sound.state === "ready";
    const over = isOver(scene) && !folded;
    this._write.hidden = !over;
    this._text.hidden = this._voices.hidden = !over || scene.text.trim() === "";
    const why = scene.replacing && `${t("It could not be written again.")} ${asSentence(refusalOf(scene.replacing))}`;
    say(this.problem, folded ? null : why);
    if (folded) this.form.hidden = true;
  }

  _directions() {
    const hint = t("What happens? (Leave it empty, and the story decides.)");
    const box = make("textarea", { rows: "2", maxlength: "20000", placeholder: hint, "aria-label": t("What happens in the scene") });
    box.value = directionOf(this._scene);
    return box;
  }

  _words() {
    const box = make("textarea", { rows: "6", maxlength: "400000", required: "", "aria-label": t("Text of the scene") });
    box.value = this._scene.text;
    return box;
  }

  _openVoices() {
    const list = loading(t("Loading the voices…"), async () => {
      const rows = this._rows(await this._on.voices());
      if (this.form.hidden || this._opener !== this._voices) return; // it was closed, or opened for something else
      this._open(this._voices, rows, t("Read again"));
    });
    this._open(this._voices, [list]);
  }

  /** A paragraph that is to be spoken again is ticked: all where there is no sound to keep. */
  _rows(voices) {
    const paragraphs = paragraphsOf(this._scene.text);
    const names = voicesBy(paragraphs, this._parts);
    const note = make("p", { class: "note" }, t("The paragraphs that are ticked are read again; the others keep their sound."));
    return [note, ...paragraphs.map(({ words }, number) => {
      const options = [make("option", { value: "" }, t("The story's voice")), ...voiceOptions(voices)];
      const text = beginning(words);
      const select = make("select", { "aria-label": t("Speaker: {text}", { text }) }, ...options);
      const box = make("input", { type: "checkbox" });
      box.checked = !this._heard;
      select.value = names[number];
      select.addEventListener("change", () => (box.checked = true));
      return make("div", { class: "row" }, make("label", { class: "again" }, box, make("span", {}, text)), select);
    })];
  }

  /** The voices of parts that were chosen for what is heard of the scene. */
  get _parts() {
    return this._scene.narration?.voices ?? [];
  }

  /** `submit`: words of the button that sends it; null: there is nothing to send yet. */
  _open(opener, content, submit = null) {
    this._opener = opener;
    this._sending = null;
    const cancel = make("button", { type: "button", class: "quiet" }, t("Cancel"));
    cancel.addEventListener("click", () => this._close());
    const send = submit ? [make("button", { type: "submit", class: "button" }, submit)] : [];
    this.form.replaceChildren(...content, ...send, cancel);
    this.form.hidden = false;
    this.form.querySelector("textarea, .row input")?.focus();
  }

  _close() {
    this.form.hidden = true;
    this._opener.focus();
  }

  /** The form stays, with what was typed, until the server has taken it. */
  async _submit() {
    if (this._sending) return;
    const sending = {};
    this._sending = sending;
    let taken = false;
    try {
      taken = await this._sent();
    } finally {
      if (this._sending === sending) {
        this._sending = null;
        if (taken && !this.form.hidden) this._close();
      } // else a form was opened anew
    }
  }

  _sent() {
    const box = this.form.querySelector("textarea");
    const paragraphs = paragraphsOf(this._scene.text);
    if (this._opener === this._write) return this._on.onWrite(box.value.trim());
    if (this._opener === this._voices) {
      const names = [...this.form.querySelectorAll("select")].map(({ value }) => value);
      const ticked = [...this.form.querySelectorAll(".row input")].map(({ checked }) => checked);
      const parts = paragraphs.filter((_, number) => ticked[number]).map(({ start, end }) => ({ start, end }));
      if (parts.length) this._on.onVoices(partsOf(paragraphs, names), parts.length < paragraphs.length ? parts : []);
      return parts.length > 0;
    }
    if (box.value.trim() === this._scene.text.trim()) return true;
    return this._on.onText(box.value, partsOf(paragraphsOf(box.value), voicesBy(paragraphs, this._parts)));
  }

  _key(event) {
    const written = event.key === "Enter" && !event.shiftKey && !event.isComposing && this._opener === this._write;
    if (written) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this._close();
    }
  }
}
