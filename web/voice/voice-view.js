/** Voice mode: the chat on show as a conversation by voice, with nothing else in the window. */

import { byId, setIcon } from "../dom.js";
import { t } from "../strings.js";

const HASH = "#voice";

/**
 * A view of the chat, with an address of its own (`#voice`), so that the browser's way back leads out of it. Sound,
 * texts, microphone and box are those of the chat; voice.css arranges them.
 */
export class VoiceView {
  /** `onEnd()`: the conversation by voice is over, not only out of this view. */
  constructor({ onEnd }) {
    this.isOpen = false;
    this._onEnd = onEnd;
    this._opener = null;
    this._keeps = false;
    this._leaving = false;
    addEventListener("keydown", (event) => this._key(event), true);
    // Of a page that was loaded at this address: there is no way back into its chat yet.
    if (location.hash === HASH) history.replaceState(null, "", location.pathname + location.search);
  }

  open() {
    if (this.isOpen) return;
    this._opener = document.activeElement;
    this._keeps = this._leaving = false;
    if (location.hash !== HASH) history.pushState(null, "", location.pathname + location.search + HASH);
    this._show(true);
    requestAnimationFrame(() => {
      const first = byId("mute").hidden ? "microphone" : "mute"; // they are drawn by now
      byId(first).focus({ preventScroll: true });
    });
  }

  /** `keeps`: the microphone stays on, and the chat is on show as before. */
  leave({ keeps = false } = {}) {
    if (!this.isOpen || this._leaving) return;
    this._leaving = true;
    this._keeps = keeps;
    if (location.hash === HASH) history.back();
    else this.left();
  }

  /** The address is that of the view no longer. */
  left() {
    if (!this.isOpen) return;
    this._show(false);
    if (!this._keeps) this._onEnd();
    requestAnimationFrame(() => {
      const back = [this._opener, byId("expand"), byId("start-voice"), byId("text")];
      back.find((one) => one?.checkVisibility())?.focus({ preventScroll: true });
    });
  }

  _show(on) {
    this.isOpen = on;
    document.body.toggleAttribute("data-voice", on);
    const words = on ? t("Show the chat") : t("Voice mode");
    setIcon(byId("expand"), on ? "shrink" : "expand");
    byId("expand").title = byId("expand").ariaLabel = words;
    // A button that is held to talk is large.
    if (on) byId("mute").before(byId("microphone"));
    else byId("start-voice").before(byId("microphone"));
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }

  _key(event) {
    if (event.key !== "Escape" || !this.isOpen || event.defaultPrevented) return;
    if (document.querySelector("dialog[open], :popover-open, details.sound[open]")) return;
    event.preventDefault();
    this.leave();
  }
}
