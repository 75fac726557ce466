/** The box in which one asks, and what went wrong with asking. */

import { orElse } from "./api.js";
import { asSentence, byId, make, say } from "./dom.js";
import { part } from "./parts.js";
import { draftIn } from "./storage.js";
import { inOneLine, t } from "./strings.js";

const LATE_MS = 1_000; // until what was sent, and has left the box, is named below it
const SHOWN_CHARS = 80;
const ASKING = [
  { mode: "prompt", label: t("Chat"), placeholder: t("Message…") },
  { mode: "text", label: t("Text to speech"), placeholder: t("Paste a text to hear it word for word…") },
];

export class Composer {
  /**
   * `place()`: the place on show. Its `send({[mode]: text}, tell)` resolves when that was accepted, and rejects with what to
   * show; `tell(words, {atOnce})` says what it waits for, at once or after a second. Its `attach(files)`, where there is one, resolves when they are on their way.
   */
  constructor({ place }) {
    this._place = place;
    this._modes = [];
    this._form = byId("composer");
    this._text = byId("text");
    this._send = byId("send");
    this._problem = byId("problem");
    this._chosen = false;
    this._takesFiles = false;
    this._sending = []; // {place, request, typed, draft} in the order in which they are sent
    this._unreached = false;
    this._draft = null; // name of the place's draft; null: none is on show yet
    this._form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this._submit();
    });
    this._form.addEventListener("change", () => {
      this._chosen = true;
      this._showMode();
    });
    this._text.addEventListener("keydown", (event) => this._key(event));
    this._text.addEventListener("input", () => {
      say(this._problem, null);
      this._edited();
    });
    byId("suggestions").addEventListener("click", ({ target }) => this._suggest(target.closest("button")));
    bindChooser("open-file", "text-file", ([file]) => this._opened(file));
    bindChooser("attach", "chat-file", (files) => this.attach(files));
    this._text.addEventListener("paste", (event) => {
      const { files, types } = event.clipboardData;
      if (!files.length || types.includes("text/plain") || byId("attach").hidden) return; // a text may bring its picture
      event.preventDefault();
      void this.attach([...files]);
    });
  }

  /** Files become the chat's; what is wrong with that is said below the box. */
  async attach(files) {
    const taken = this._takesFiles ? files.filter(isDocument) : [];
    const [other] = files.filter((file) => !taken.includes(file));
    say(this._problem, other ? this._refusalOf(other) : null);
    if (!taken.length) return;
    const place = this._place();
    const refused = ({ message }) => place === this._place() && say(this._problem, `${taken[0].name}: ${asSentence(message)}`);
    await orElse(refused, () => place.attach(taken));
  }

  _refusalOf({ name }) {
    if (this._takesFiles) return t("{name} cannot be attached: PDF, DOCX, HTML, Markdown and text files can be.", { name });
    return t("{name} cannot be attached: this chat takes audio files only.", { name });
  }

  /** Whether the place takes files; a chat's questions are asked about them. */
  takeFiles(takes) {
    this._takesFiles = takes;
    byId("attach").hidden = !(takes && this._mode === "prompt");
  }

  /** The text of a file, behind what was typed. A document of another kind than text is read by the server. */
  async _opened(file) {
    const draft = this._draft;
    const { name } = file;
    say(this._problem, null);
    say(byId("sending"), t("Reading {name}…", { name }));
    const refused = ({ message }) => ({ problem: `${name}: ${asSentence(message)}` });
    const { text, problem } = await orElse(refused, async () => (await part(import("./opened-text.js"))).openedText(file)).finally(() => say(byId("sending"), null));
    if (draft !== this._draft) return; // another place is on show
    if (problem) say(this._problem, problem);
    else this._text.value = [this._text.value, text].filter(Boolean).join("\n\n");
    this._edited();
    this.focus();
  }

  /**
   * From now on for another place, whose text that was not sent is kept under the name `draft`. `modes`: {mode,
   * label, placeholder, optional}; in an `optional` one the box may be empty.
   */
  use({ draft, modes = ASKING }) {
    const typed = this._draft ? "" : this._text.value; // while the page loaded: newer than what was kept
    this._draft = draft;
    this._text.value = "";
    const kept = draftIn(draft).read() ?? "";
    this._text.value = typed || (kept === this._unsent ? "" : kept); // a text under way is not sent twice
    this._modes = modes;
    this._chosen = false;
    this._takesFiles = false;
    for (const label of this._form.querySelectorAll(".modes > label")) label.remove();
    this._form.querySelector("legend").after(...modes.map(radio));
    say(this._problem, null);
    this._showMode();
  }

  /** The place has a name of its own now. */
  keepAs(draft) {
    draftIn(this._draft).write(null);
    for (const one of this._sending) if (one.draft === this._draft) one.draft = draft;
    this._draft = draft;
    this._edited();
  }

  /** Ready to be typed into, where that opens no keyboard over the page. */
  invite() {
    if (matchMedia("(hover: hover)").matches && document.activeElement === document.body) this.focus();
  }

  /** The server can be reached again: what was said about that is over. */
  connected() {
    if (this._unreached) say(this._problem, null);
  }

  focus() {
    this._text.focus({ preventScroll: true });
  }

  /** Choose, unless the user has. */
  prefer(mode) {
    if (!this._chosen) this._form.elements.mode.value = mode;
    this._showMode();
  }

  /** Whether one may choose `mode` at all; where one may not, `reason` says why. */
  allow(mode, allowed, reason) {
    const input = this._form.querySelector(`input[value="${mode}"]`);
    input.disabled = !allowed;
    input.parentElement.title = allowed ? "" : reason;
    if (!allowed && input.checked) this._form.elements.mode.value = this._modes.find((one) => one.mode !== mode).mode;
    this._showMode();
  }

  get _mode() {
    return new FormData(this._form).get("mode");
  }

  _showMode() {
    if (!this._draft) return;
    byId("open-file").hidden = this._mode !== "text";
    this.takeFiles(this._takesFiles);
    this._text.placeholder = this._modes.find(({ mode }) => mode === this._mode).placeholder;
    this._edited();
  }

  /** A draft outlives a reload; an empty box is sent only where that means something, and once. */
  _edited() {
    if (!this._draft) return;
    draftIn(this._draft).write(this._unsent || null);
    const { optional } = this._modes.find(({ mode }) => mode === this._mode);
    this._send.disabled = !(this._text.value.trim() || (optional && !this._sending.length));
  }

  /** The typed text that has not been accepted yet: under way, and in the box. */
  get _unsent() {
    const underWay = this._sending.filter(({ draft }) => draft === this._draft).map(({ typed }) => typed);
    return [...underWay, this._text.value].filter(Boolean).join("\n");
  }

  /** A suggestion is sent as it stands; what is in the box stays there. */
  _suggest(button) {
    if (button && !this._sending.length) void this._submit({ prompt: button.textContent });
  }

  _key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this._form.requestSubmit();
  }

  /** `request`: what is in the box, unless it is given. The box is free at once for what is typed next. */
  async _submit(request) {
    this._edited(); // a form that a browser fills in tells nobody
    if (!request && this._send.disabled) return;
    const typed = request ? "" : this._text.value;
    this._sending.push({ place: this._place(), request: request ?? { [this._mode]: typed }, typed, draft: this._draft });
    if (!request) this._text.value = "";
    say(this._problem, null);
    this._edited();
    if (this._sending.length > 1) return; // one after the other
    while (this._sending.length) await this._sendFirst();
  }

  async _sendFirst() {
    const [{ place, request }] = this._sending;
    const text = inOneLine(Object.values(request)[0]).slice(0, SHOWN_CHARS);
    let waits = null; // for what, in words
    const show = () => say(byId("sending"), waits ? `${t("Waiting: {text}", { text })} · ${waits}` : t("Sending: {text}", { text }));
    const late = setTimeout(show, LATE_MS);
    const tell = (words, { atOnce = true } = {}) => {
      this._send.title = waits = words;
      if (atOnce) show();
    };
    try {
      await place.send(request, tell);
      this._accepted(this._sending.shift());
    } catch (error) {
      this._text.value = this._unsent; // also what waits behind it
      this._sending = [];
      this._unreached = error.code === "connection.lost";
      say(this._problem, asSentence(inWords(error)));
      this.focus();
    }
    clearTimeout(late);
    say(byId("sending"), null);
    this._send.title = t("Send (Enter)");
    this._edited();
  }

  _accepted({ typed, draft }) {
    const left = draftIn(draft);
    if (draft !== this._draft && left.read() === typed) left.write(null);
  }
}

/** Whether a chat's chooser offers it; what is dropped or pasted may be anything. */
function isDocument({ name }) {
  return byId("chat-file").accept.split(",").some((ending) => name.toLowerCase().endsWith(ending));
}

/** A button that lets files be chosen by the input beside it. */
function bindChooser(button, input, onFiles) {
  const chooser = byId(input);
  byId(button).addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const files = [...chooser.files];
    chooser.value = "";
    if (files.length) void onFiles(files);
  });
}

function radio({ mode, label }, number) {
  const input = make("input", { type: "radio", name: "mode", value: mode });
  input.defaultChecked = number === 0;
  return make("label", {}, input, make("span", {}, label));
}

/** "prompt: is empty" is the server's way of pointing at the box; the reader sees which one it is. */
function inWords({ message, field }) {
  return message.startsWith(`${field}: `) ? t("The text {fault}", { fault: message.slice(field.length + 2) }) : message;
}
