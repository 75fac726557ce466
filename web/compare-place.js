/** One question to two models or voices: two columns, each a session of its own with its settings. */

import { orElse } from "./api.js";
import { newKey } from "./client/connection.js";
import { latencyItems, usageItems } from "./developer.js";
import { asSentence, byId, make, problemLine, say } from "./dom.js";
import { voiceOptions } from "./languages.js";
import { refusalOf } from "./refusals.js";
import { Session } from "./session.js";
import { offerModels, sessionField } from "./session-fields.js";
import { emptyStory, isOver, latestTurn, runningTurn } from "./story.js";
import { beginning, t } from "./strings.js";
import { TurnView } from "./turn-view.js";

const COMPARED = ["llm_provider", "llm_model", "temperature", "max_tokens", "system_prompt"];
const ASKING = [{ mode: "prompt", label: t("Chat"), placeholder: t("One question for both…") }];

export class ComparePlace {
  title = t("Compare");

  constructor(shell) {
    this._shell = shell;
    this._columns = ["A", "B"].map((name) => new Column(name, shell));
    this._asking = null; // until both have answered
    this._wish = null; // the latest question, until Stop is pressed
  }

  async start() {
    void offerModels();
    this._shell.composer.use({ draft: "compare", modes: ASKING });
    const note = t("The second is asked when the first has finished, so that neither slows the other. Both stay in the history.");
    const columns = make("div", { class: "columns" }, ...this._columns.map(({ element }) => element));
    byId("place").hidden = false;
    byId("place").replaceChildren(make("p", { class: "note" }, note), columns);
    const voices = await orElse(() => [], () => this._shell.api.voices());
    for (const column of this._columns) column.showVoices(voices);
  }

  leave() {
    this._shell.hearing.stopReplay();
    for (const column of this._columns) column.leave();
  }

  /** The one that answers, or the first. */
  get story() {
    return (this._columns.find(({ story }) => runningTurn(story)) ?? this._columns[0]).story;
  }

  /** Resolves when the first has taken the question; what it refuses stays in the box. */
  async send({ prompt }) {
    this._shell.hearing.unlock();
    await this._asking;
    const wish = (this._wish = Symbol(prompt));
    const [first, second] = this._columns;
    const { over } = await first.ask(prompt);
    this._asking = over.then(() => this._wish === wish && second.askToo(prompt));
  }

  /** The player's Stop. */
  stopped() {
    this._wish = null;
    for (const column of this._columns) column.stop();
  }

  draw({ heard }) {
    for (const column of this._columns) column.draw(heard);
  }

  stats() {
    return { lastSeq: this.story.lastSeq };
  }
}

/** One of both: its settings, its session from the first question on, and its latest answer. */
class Column {
  constructor(name, shell) {
    this._shell = shell;
    this._settings = {}; // that the session has, or will have
    this._unsaved = {}; // those of them that were changed since the latest question
    this._session = null;
    this._asked = null; // the turn of the latest question
    this._turn = null; // that is on show
    this._view = null;
    this._onOver = null;
    this._voice = make("select", {}, make("option", { value: "" }, t("Default")));
    this._voice.addEventListener("change", () => this._choose({ voice: this._voice.value || undefined }));
    const voice = make("label", { class: "row" }, make("span", {}, t("Voice")), this._voice);
    const fields = COMPARED.map((path) => sessionField(path, (patch) => this._choose(patch)).element);
    this._latency = make("ol", { class: "latency", "aria-label": t("Latency of the latest turn") });
    this._usage = make("dl", { class: "facts" });
    this._problem = problemLine();
    this._answer = make("div");
    const settings = make("fieldset", {}, make("legend", {}, name), voice, ...fields);
    const facts = make("div", { class: "tool" }, settings, this._problem, this._latency, this._usage);
    this.element = make("section", { "aria-label": name }, facts, this._answer);
  }

  get story() {
    return this._session?.story ?? emptyStory();
  }

  showVoices(voices) {
    this._voice.append(...voiceOptions(voices));
  }

  _choose(patch) {
    this._settings = { ...this._settings, ...patch };
    this._unsaved = { ...this._unsaved, ...patch };
  }

  /** Resolves with {over}, a promise for the end of the answer, or rejects with a Problem. */
  async ask(prompt) {
    const { api, hearing } = this._shell;
    say(this._problem, null);
    if (!this._session) this._open(await api.createSession(this._settings, beginning(prompt)), beginning(prompt));
    else if (Object.keys(this._unsaved).length) await api.changeSettings(this._session.id, this._unsaved);
    this._unsaved = {};
    const asked = await hearing.asks(async () => {
      const { turn } = await api.requestTurn(this._session.id, { prompt, settings: { speak: true } }, newKey());
      return { session: this._session, turn };
    });
    this._asked = asked.turn;
    const over = new Promise((resolve) => (this._onOver = resolve));
    this._tellOver(); // it may have been quick
    return { over };
  }

  /** As `ask`, until the answer is over; what is refused is said here. */
  askToo(prompt) {
    return orElse(({ message }) => this._refuse(message), async () => (await this.ask(prompt)).over);
  }

  stop() {
    const turn = latestTurn(this.story); // it may wait to begin
    const refused = ({ message }) => this._refuse(message);
    if (turn && !isOver(turn)) void orElse(refused, () => this._shell.api.control(this._session.id, "stop", { turn: turn.id }));
  }

  leave() {
    if (this._session) this._shell.hearing.leave(this._session);
  }

  _play(turn) {
    const { hearing } = this._shell;
    hearing.attach(this._session, { silent: true });
    hearing.replay(turn, { of: this._session });
  }

  _refuse(message) {
    say(this._problem, asSentence(message));
    this._onOver?.();
  }

  _tellOver() {
    const turn = this.story.turns[this._asked];
    if (turn && isOver(turn)) this._onOver?.();
  }

  _open({ session_id: id }, title) {
    this._session = new Session({
      id,
      url: this._shell.api.streamUrl(id),
      onChange: () => {
        this._shell.paint();
        this._tellOver();
      },
      onState: (state) => state.state === "refused" && this._refuse(refusalOf(state)),
    });
    this._shell.noted({ id, kind: "session", title });
  }

  draw(heard) {
    const turn = this.story.turns[this.story.order.at(-1)];
    if (!turn) return;
    if (this._turn?.id !== turn.id) this._show(turn);
    if (this._turn !== turn) {
      this._turn = turn;
      this._view.update(turn, false);
      this._latency.replaceChildren(...latencyItems(turn));
      this._usage.replaceChildren(...usageItems(turn));
    }
    const isHeard = heard?.session === this._session.id && heard.turn === turn.id;
    this._view.light(isHeard ? heard.ms : null);
  }

  /** Another answer; the voice is that of its session, which may be the server's own choice. */
  _show(turn) {
    this._voice.value = this.story.settings.voice;
    this._view = new TurnView(turn, {
      onReplay: (id) => this._play(id),
      onUnfold: () => {},
      link: (path, query) => this._shell.api.link(this._session.id, path, query),
    });
    this._answer.replaceChildren(this._view.element);
  }
}
