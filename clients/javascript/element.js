/** `<rhapsode-voice>`: a button on any page that begins a conversation by voice, and says what it is doing. */

import { Rhapsode } from "./client.js";
import { VoiceConversation } from "./voice.js";

const WORDS = {
  off: "",
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  listening: "Listening",
  hearing: "You are speaking",
  thinking: "Thinking…",
  speaking: "Speaking",
};
const STYLE = `
  :host { display: inline-flex; align-items: center; gap: 0.6em; font: inherit; color: inherit; }
  :host([hidden]) { display: none; }
  button {
    font: inherit; padding: 0.5em 1.1em; border-radius: 2em; cursor: pointer;
    border: 1px solid currentColor; background: none; color: inherit;
  }
  button[aria-pressed="true"] { background: #b3261e; border-color: #b3261e; color: #fff; }
  button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
`;

/** What a browser says when there is no microphone to be had, for its user. */
const TROUBLE = {
  NotAllowedError: "The microphone is not allowed here. Allow it in the browser and try again.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone is used by another program.",
};

const wordsFor = (error) => TROUBLE[error.name] ?? error.message;

/**
 * Attributes: `src`, the server's address (without it, the one that this script came from); `key`, a token of this user's
 * (docs/clients.md), `session`, the id of one that is there, and `voice` and `language` of a new one. Property `renew`: a
 * function that resolves to the next token. Events: "state" with `detail` the VoiceState, "event" with each event of the
 * session, "trouble" with the error. `start` must be called from a gesture.
 */
export class RhapsodeVoice extends HTMLElement {
  constructor() {
    super();
    /** @type {(() => Promise<string | null>) | undefined} */
    this.renew = this.renew; // a page may have set it before this script came
    const style = new CSSStyleSheet(); // a page that forbids inline styles allows it
    style.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    this._button = root.appendChild(document.createElement("button"));
    this._button.type = "button";
    this._words = root.appendChild(document.createElement("span"));
    this._words.setAttribute("role", "status");
    this._button.addEventListener("click", () => (this.state === "off" ? this.start() : this.stop()));
    this._place = "";
    /** @type {import("./client.js").Session | null} */
    this._session = null;
    /** @type {VoiceConversation | null} */
    this._voice = null;
  }

  connectedCallback() {
    this._show(this.state);
  }

  disconnectedCallback() {
    this.stop();
  }

  /** @returns {import("./voice.js").VoiceState} */
  get state() {
    return this._voice?.state ?? "off";
  }

  /** Of the session that is spoken to, or was last; null before. */
  get sessionId() {
    return this._session?.id ?? null;
  }

  start() {
    if (this.state !== "off") return Promise.resolve();
    this._prepare();
    this._words.textContent = "";
    return this._voice.start();
  }

  stop() {
    this._voice?.stop();
  }

  /** The session stays the same until `src`, `key` or `session` are others. */
  _prepare() {
    const src = this.getAttribute("src") ?? new URL("../../", import.meta.url).href;
    const [key, id] = [this.getAttribute("key"), this.getAttribute("session")];
    const place = JSON.stringify([src, key, id]);
    if (place === this._place) return;
    this._place = place;
    const client = new Rhapsode(src, { key, renew: async () => this.renew?.() ?? null });
    this._session = id ? client.session(id) : null;
    this._voice = new VoiceConversation({
      connection: client.connection,
      session: async () => (this._session ??= await client.create(this._settings())),
      onState: (state) => {
        this._show(state);
        this._tell("state", state);
      },
      onEvent: (event) => this._tell("event", event),
      onTrouble: (error) => {
        this._words.textContent = wordsFor(error);
        this._tell("trouble", error);
      },
    });
  }

  _settings() {
    const given = ["voice", "language"].filter((name) => this.hasAttribute(name));
    return Object.fromEntries(given.map((name) => [name, this.getAttribute(name)]));
  }

  _show(state) {
    this.dataset.state = state;
    this._button.textContent = state === "off" ? "Talk" : "Stop";
    this._button.setAttribute("aria-pressed", String(state !== "off"));
    this._words.textContent = WORDS[state];
  }

  _tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

if (!customElements.get("rhapsode-voice")) customElements.define("rhapsode-voice", RhapsodeVoice);
