/** One session: what happened when; and told again as it happened. */

import { addressOf } from "../addresses.js";
import { byId, make, say } from "../dom.js";
import { titleIn } from "../story.js";
import { clock, when } from "../times.js";
import { heardSpans } from "./chronicle.js";
import { Reel } from "./reel.js";
import { Soundtrack } from "./soundtrack.js";
import { inMs, table, TurnPanel } from "./turn-panel.js";
import { t } from "../strings.js";

const MOMENTS = 200;

const SPEEDS = [
  ["", t("Summary")],
  ["1", t("Replay 1×")],
  ["4", t("Replay 4×")],
];

export class TimelinePlace {
  constructor(id, shell) {
    this.about = { id, kind: "session", title: t("Timeline") };
    this.sessionId = id;
    this.title = t("Timeline");
    this._shell = shell;
    this._api = shell.api;
    this._hearing = shell.hearing;
    this._drawn = -1;
  }

  async start() {
    byId("composer").hidden = true;
    this._build();
    this._tell(null);
  }

  leave() {
    this._letGo();
    this._moments.remove();
  }

  _letGo() {
    this._soundtrack.end();
    if (this._hearing.session === this._reel) this._hearing.stopReplay();
    this._hearing.leave(this._reel);
  }

  stats() {
    const { story, head, speed } = this._reel;
    return { lastSeq: story.lastSeq, head, speed };
  }

  _build() {
    this._about = make("p", { class: "about" });
    this._open = make("a", { class: "quiet", href: addressOf(this.about) }, t("Open the conversation"));
    this._facts = make(
      "a",
      { class: "quiet", href: this._api.link(this.sessionId, "/export"), download: "" },
      t("Export"),
    );
    this._progress = make("progress", { max: "1", value: "0", "aria-label": t("Replayed so far") });
    this._note = make("p", { class: "note", role: "status", hidden: "" });
    const root = byId("place");
    root.hidden = false;
    root.replaceChildren(this._about, this._open, this._speeds(), this._progress, this._note);
    this._moments = make("div", { class: "numbers session-moments", hidden: "" });
    byId("story").after(this._moments);
  }

  _speeds() {
    const labels = SPEEDS.map(([speed, label]) => {
      const input = make("input", { type: "radio", name: "speed-of-replay", value: speed });
      input.checked = speed === "";
      return make("label", {}, input, make("span", {}, label));
    });
    const again = make("button", { type: "button", class: "quiet" }, t("Restart"));
    const fieldset = make(
      "fieldset",
      { class: "modes replay-speed" },
      make("legend", { class: "unseen" }, t("Replay")),
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
    if (this._reel) this._letGo();
    this._panels = new Map();
    this._drawn = -1;
    this._shown = -1;
    byId("story").replaceChildren();
    this._reel = new Reel({
      id: this.sessionId,
      url: this._api.streamUrl(this.sessionId),
      speed,
      onFact: (fact) => this._took(fact),
      onState: (state) => this._shell.connection(state.state === "ended" ? { state: "idle" } : state),
    });
    this._soundtrack = new Soundtrack(this._hearing, this._reel);
    this._hearing.attach(this._reel, { silent: true });
    const words = {
      1: t("Replay at the original speed, with sound. Long silences between turns are shortened."),
      4: t("Replay at four times the speed. Sound plays only at the original speed."),
    };
    say(this._note, words[speed] ?? null);
  }

  _took(fact) {
    if (this._reel.speed === 1) this._soundtrack.take(fact);
    this._shell.paint();
  }

  /** The player's Stop. */
  stopped() {
    this._soundtrack.end();
  }

  draw({ heard }) {
    const { story, chronicle, head } = this._reel;
    byId("composer").hidden = true;
    this._soundtrack.next();
    this._progress.max = Math.max(1, head);
    this._progress.value = story.lastSeq;
    if (this._drawn !== chronicle.version) this._drawTurns(story, chronicle);
    const mine = heard?.session === this.sessionId ? heard : null;
    for (const [id, panel] of this._panels) panel.text.light(mine?.turn === id ? mine.ms : null);
  }

  /** A click on a word is heard, too. */
  heardIn(turn) {
    return this._reel.story.turns[turn] ?? null;
  }

  hear(turn, ms = 0) {
    this._hearing.replay(turn, { ms, of: this._reel });
  }

  _drawTurns(story, chronicle) {
    this._drawn = chronicle.version;
    const title = titleIn(story) || { user: t("Settings and notifications") }[story.kind] || t("Untitled");
    this.title = title;
    this.about = { id: this.sessionId, kind: story.kind, title };
    this._open.href = addressOf(this.about);
    if (chronicle.startedAt)
      say(this._about, `${when(chronicle.startedAt)} · ${t("{seq} of {head} events", { seq: story.lastSeq, head: this._reel.head })}`);
    this._drawMoments(chronicle);
    const spans = heardSpans(chronicle);
    chronicle.turns.forEach((told, number) => {
      if (!this._panels.has(told.id)) this._add(story.turns[told.id], number + 1);
      this._panels.get(told.id).update(story.turns[told.id], told, spans.get(told.id), chronicle);
    });
  }

  /** Moments that are not about any turn. */
  _drawMoments({ moments, startedAt }) {
    const shown = moments.slice(-MOMENTS);
    if (this._moments.childElementCount && this._shown === moments.length) return;
    this._shown = moments.length;
    this._moments.hidden = moments.length === 0;
    const rows = shown.map(({ at, what }) => [what, clock(at), inMs(at - startedAt)]);
    this._moments.replaceChildren(table(t("The session itself"), [t("What"), t("When"), t("After it began")], rows));
  }

  _add(turn, number) {
    const panel = new TurnPanel(turn, number, {
      onReplay: (id) => this.hear(id),
      link: (path, query) => this._api.link(this.sessionId, path, query),
    });
    this._panels.set(turn.id, panel);
    byId("story").append(panel.element);
  }
}
