/** One session: what happened when; and told again as it happened. */

import { Api } from "../api.js";
import { Controls } from "../controls.js";
import { asSentence, byId, make, oncePerFrame, say } from "../dom.js";
import { Hearing } from "../hearing.js";
import { clock, when } from "../times.js";
import { heardSpans } from "./chronicle.js";
import { Reel } from "./reel.js";
import { Soundtrack } from "./soundtrack.js";
import { inMs, table, TurnPanel } from "./turn-panel.js";

const MOMENTS = 200;

const SPEEDS = [
  ["", "Summary"],
  ["1", "Replay 1×"],
  ["4", "Replay 4×"],
];

export class TimelinePlace {
  constructor(id) {
    this.sessionId = id;
    this._api = new Api();
    this._paint = oncePerFrame(() => this._draw());
    this._drawn = -1;
    this._hearing = new Hearing({
      control: () => {},
      onChange: () => this._paint(),
      onTrouble: (text) => this._controls.showNotice(text),
    });
    this._controls = new Controls({
      onPause: () => this._hearing.togglePause(),
      onSkip: () => this._hearing.skip(),
      onBack: () => this._hearing.back(),
      onStop: () => this._stop(),
      onUnlock: () => this._hearing.unlock(),
      onVoice: (voice) => this._hearing.setVoice(voice),
      onVolume: (volume) => this._hearing.setVolume(volume),
      onSettings: () => {},
    });
  }

  async start() {
    byId("composer").hidden = true;
    byId("share").hidden = false;
    byId("share").dataset.session = this.sessionId;
    this._build();
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => this._hearing.unlock());
    this._tell(null);
    const audible = await this._hearing.open();
    if (!audible) this._controls.showMute("This browser plays sound only on https:// or localhost.");
  }

  stats() {
    const { story, head, speed } = this._reel;
    return { ...this._hearing.stats(), lastSeq: story.lastSeq, head, speed };
  }

  _build() {
    this._title = make("h1", {});
    this._about = make("p", { class: "about" });
    this._facts = make(
      "a",
      { class: "quiet", href: this._api.link(this.sessionId, "/export"), download: "" },
      "Export",
    );
    this._progress = make("progress", { max: "1", value: "0", "aria-label": "Replayed so far" });
    this._note = make("p", { class: "note", role: "status", hidden: "" });
    const root = byId("place");
    root.hidden = false;
    root.replaceChildren(this._title, this._about, this._speeds(), this._progress, this._note);
    this._moments = make("div", { class: "numbers session-moments" });
    byId("story").after(this._moments);
  }

  _speeds() {
    const labels = SPEEDS.map(([speed, label]) => {
      const input = make("input", { type: "radio", name: "speed-of-replay", value: speed });
      input.checked = speed === "";
      return make("label", {}, input, make("span", {}, label));
    });
    const again = make("button", { type: "button", class: "quiet" }, "Restart");
    const fieldset = make(
      "fieldset",
      { class: "modes replay-speed" },
      make("legend", { class: "unseen" }, "Replay"),
      ...labels,
      again,
      this._facts,
    );
    const chosen = () => Number(fieldset.querySelector(":checked").value) || null;
    fieldset.addEventListener("change", () => this._tell(chosen()));
    again.addEventListener("click", () => this._tell(chosen()));
    return fieldset;
  }

  /** From the beginning, at `speed`; null: all at once, and then as it goes on. */
  _tell(speed) {
    this._reel?.close();
    this._hearing.stopReplay();
    this._panels = new Map();
    this._drawn = -1;
    this._shown = -1;
    byId("story").replaceChildren();
    this._ended = false;
    this._reel = new Reel({
      id: this.sessionId,
      url: this._api.streamUrl(this.sessionId),
      speed,
      onFact: (fact) => this._took(fact),
      onState: (state) => this._connection(state),
    });
    this._soundtrack = new Soundtrack(this._hearing, this._reel);
    this._hearing.attach(this._reel, { skewMs: 0, silent: true });
    const words = {
      1: "Replay at the original speed, with sound. Long silences between turns are shortened.",
      4: "Replay at four times the speed. Sound plays only at the original speed.",
    };
    say(this._note, words[speed] ?? null);
  }

  _took(fact) {
    if (this._reel.speed === 1) this._soundtrack.take(fact);
    this._paint();
  }

  _stop() {
    this._soundtrack.end();
    this._hearing.stopReplay();
  }

  _connection(state) {
    this._controls.showConnection(state.state === "ended" ? { state: "idle" } : state);
    const refused = state.state === "refused";
    byId("refusal").hidden = !refused;
    byId("place").hidden = byId("dock").hidden = refused;
    if (refused) say(byId("refusal").firstElementChild, asSentence(state.message));
    this._ended = state.state === "ended";
    this._paint();
  }

  _draw() {
    const { story, chronicle, head } = this._reel;
    this._soundtrack.next();
    const { heard, paused } = this._hearing;
    this._progress.max = Math.max(1, head);
    this._progress.value = story.lastSeq;
    if (this._drawn !== chronicle.version) this._drawTurns(story, chronicle);
    for (const [id, panel] of this._panels) panel.text.light(heard?.turn === id ? heard.ms : null);
    const turn = heard && story.turns[heard.turn];
    this._controls.showSound(this._hearing.preferences);
    this._controls.showUnlock(heard !== null && this._hearing.locked);
    const time = turn?.audioMs ? { ms: heard.ms, ofMs: turn.audioMs } : null;
    this._controls.showTransport({
      hearing: heard !== null,
      active: heard !== null,
      paused,
      time,
      doing: paused ? "Paused" : "",
    });
  }

  _drawTurns(story, chronicle) {
    this._drawn = chronicle.version;
    const first = story.turns[story.order[0]]?.prompt.slice(0, 80);
    const title = story.title || first || { user: "Settings and notifications" }[story.kind] || "Untitled";
    say(this._title, title);
    document.title = `${title} · History · Rhapsode`;
    if (chronicle.startedAt)
      say(this._about, `${when(chronicle.startedAt)} · ${story.lastSeq} of ${this._reel.head} events`);
    this._drawMoments(chronicle);
    const spans = heardSpans(chronicle);
    chronicle.turns.forEach((told, number) => {
      if (!this._panels.has(told.id)) this._add(story.turns[told.id], number + 1);
      this._panels.get(told.id).update(story.turns[told.id], told, spans.get(told.id), chronicle);
    });
  }

  /** What is not about any turn. */
  _drawMoments({ moments, startedAt }) {
    const shown = moments.slice(-MOMENTS);
    if (this._moments.childElementCount && this._shown === moments.length) return;
    this._shown = moments.length;
    const rows = shown.map(({ at, what }) => [what, clock(at), inMs(at - startedAt)]);
    this._moments.replaceChildren(table("The session itself", ["What", "When", "After it began"], rows));
  }

  _add(turn, number) {
    const panel = new TurnPanel(turn, number, {
      onReplay: (id) => this._hearing.replay(id),
      link: (path, query) => this._api.link(this.sessionId, path, query),
    });
    this._panels.set(turn.id, panel);
    byId("story").append(panel.element);
  }
}
