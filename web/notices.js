/** News for the user, wherever in the page: a narration is ready, or it failed. */

import { NoticeWire } from "./notice-wire.js";
import { asSentence, byId, icon, make } from "./dom.js";
import { refusalOf } from "./refusals.js";
import { t } from "./strings.js";

const STALE_MS = 10 * 60_000; // a narration that was ready longer ago does not begin to speak by itself
const LATER_MS = 1_000; // a tab that is not looked at, or that may not sound yet, lets others go first
const SHOWN_MS = 12_000;

/** True in one tab of this browser only, whichever asks first. It stays so until that tab is closed. */
function claim(name) {
  return new Promise((resolve) => {
    const held = (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    };
    void navigator.locks.request(`rhapsode:${name}`, { ifAvailable: true }, held);
  });
}

export class Notices {
  /** `place()`: what is on the page; it may have `narrationReady(notice, play)`, `narrationFailed(notice)` and
   * `locked`: the browser lets it make no sound yet. */
  constructor({ place }) {
    this._place = place;
    this._wire = new NoticeWire({ onNotice: (notice) => this._take(notice) });
  }

  open() {
    this._wire.open();
  }

  async _take(notice) {
    if (notice.type === "tts_ready") await this._ready(notice);
    else if (notice.type === "tts_failed") this._failed(notice);
  }

  async _ready(notice) {
    const place = this._place();
    const here = place?.id === notice.story_id;
    const timely = notice.auto_play && Date.now() - notice.created_ms < STALE_MS;
    const play = here && timely && (await this._mayPlay(notice, place));
    if (!place?.narrationReady?.(notice, play)) toast(t("A scene has been narrated."), t("Play"), notice);
  }

  _failed(notice) {
    if (this._place()?.narrationFailed?.(notice)) return;
    toast(t("A scene could not be read out: {reason}", { reason: asSentence(refusalOf({ message: "", ...notice })) }), t("Look"), notice);
  }

  async _mayPlay({ session_id: session }, place) {
    if (!navigator.locks) return true; // without a secure context there is no sound either
    if (document.hidden || place.locked) await new Promise((resolve) => setTimeout(resolve, LATER_MS));
    return claim(`auto-play:${session}`);
  }
}

function toast(text, action, { story_id: story, scene_id: scene }) {
  const turn = scene.split(".").at(-1);
  const link = make("a", { href: `./?story=${encodeURIComponent(story)}&hear=${encodeURIComponent(turn)}` }, action);
  const close = make("button", { type: "button", class: "icon", "aria-label": t("Close") }, icon("close"));
  const box = make("div", { class: "toast" }, make("span", {}, text), link, close);
  close.addEventListener("click", () => box.remove());
  byId("toasts").append(box);
  const expire = () => (box.matches(":hover, :focus-within") ? setTimeout(expire, SHOWN_MS) : box.remove());
  setTimeout(expire, SHOWN_MS);
}
