/** The box in which one asks, and what went wrong with asking. */

import { asSentence, byId, make, say } from "./dom.js";
import { draftIn } from "./storage.js";
import { t } from "./strings.js";

const SUGGESTIONS = [
  t("Tell me a story about a lighthouse keeper and a fox"),
  t("Explain the tides to a curious child"),
  t("Describe a night train crossing the mountains"),
];
const ASKING = [
  { mode: "prompt", label: t("Chat"), placeholder: t("Message…") },
  { mode: "text", label: t("Text to speech"), placeholder: t("Paste a text to hear it word for word…") },
];

export class Composer {
  /**
   * `onSend({[mode]: text})` resolves when it was accepted and rejects with what to show.
   */
  constructor({ onSend }) {
    this._onSend = onSend;
    this._modes = [];
    this._form = byId("composer");
    this._text = byId("text");
    this._send = byId("send");
    this._problem = byId("problem");
    this._chosen = false;
    this._sending = false;
    this._unreached = false;
    this._draft = null;
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
    const items = SUGGESTIONS.map((text) => make("li", {}, make("button", { type: "button" }, text)));
    byId("suggestions").append(...items);
    byId("suggestions").addEventListener("click", ({ target }) => this._suggest(target.closest("button")));
  }

  /**
   * From now on for another place, whose text that was not sent is kept under the name `draft`. `modes`: {mode,
   * label, placeholder, optional}; in an `optional` one the box may be empty.
   */
  use({ draft, modes = ASKING }) {
    const typed = this._draft ? "" : this._text.value; // while the page loaded: newer than what was kept
    this._draft = draftIn(draft);
    this._text.value = typed || (this._draft.read() ?? "");
    this._modes = modes;
    this._chosen = false;
    for (const label of this._form.querySelectorAll(".modes > label")) label.remove();
    this._form.querySelector("legend").after(...modes.map(radio));
    say(this._problem, null);
    this._showMode();
  }

  /** The place has a name of its own now. */
  keepAs(draft) {
    this._draft.write(null);
    this._draft = draftIn(draft);
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
    this._text.placeholder = this._modes.find(({ mode }) => mode === this._mode).placeholder;
    this._edited();
  }

  /** A draft outlives a reload; an empty box is sent only where that means something. */
  _edited() {
    this._draft.write(this._text.value || null);
    const { optional } = this._modes.find(({ mode }) => mode === this._mode);
    this._send.disabled = this._sending || !(optional || this._text.value.trim());
  }

  /** A suggestion is sent as it stands; what is in the box stays there. */
  _suggest(button) {
    if (button) void this._submit({ prompt: button.textContent });
  }

  _key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this._form.requestSubmit();
  }

  /** `request`: what is in the box, unless it is given. */
  async _submit(request) {
    this._edited(); // a form that a browser fills in tells nobody
    if (this._sending || (!request && this._send.disabled)) return;
    this._sending = true;
    this._edited();
    say(this._problem, null);
    const text = this._text.value;
    const draft = this._draft;
    try {
      await this._onSend(request ?? { [this._mode]: text });
      if (!request && this._text.value === text) this._text.value = "";
      if (!request && draft.read() === text) draft.write(null); // its place may have been left
    } catch (error) {
      this._unreached = error.code === "connection.lost";
      say(this._problem, asSentence(inWords(error)));
      this.focus();
    } finally {
      this._sending = false;
      this._edited();
    }
  }
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
