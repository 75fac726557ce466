/** Asking: one session, brought together with its sound and its views. */

import { Api, orElse } from "./api.js";
import { Composer } from "./composer.js";
import { Controls } from "./controls.js";
import { asSentence, byId, oncePerFrame, say } from "./dom.js";
import { whatIsDone } from "./doing.js";
import { Hearing } from "./hearing.js";
import { LogView } from "./log-view.js";
import { Listening } from "./microphone/listening.js";
import { Session } from "./session.js";
import { emptyStory, isOver, runningTurn } from "./story.js";
import { StoryView } from "./story-view.js";

const COPIED_MS = 2_000;
const TITLE_CHARS = 60;
const OFFLINE = "You are offline. What is missing comes by itself when you are connected again.";

export class AskPlace {
  /**
   * `id` of the session, or null to begin one; `listening`: by a share link, hands off; `modes` to ask in;
   * `ask(session, request, key)` where asking is another matter, and `onStory(story)` with every drawing.
   */
  constructor({ id, listening, modes, ask, onStory = () => {} }) {
    this._id = id;
    this._listening = listening;
    this._api = new Api();
    this._ask = ask ?? ((session, request, key) => this._api.requestTurn(session, request, key));
    this._onStory = onStory;
    this._session = null;
    this._making = null;
    this._settings = {}; // chosen before there is a session to keep them
    this._madeHere = false; // this page made the session, nobody was there before
    this._paint = oncePerFrame(() => this._draw());
    this._doing = "";
    this._hearing = new Hearing({
      control: (action, about) => !listening && this._control(action, about),
      onChange: () => this._paint(),
      onTrouble: (text) => this._controls.showNotice(text),
      tell: listening ? null : (message) => this._session?.tell(message) ?? false,
    });
    this._ear = listening ? null : this._makeEar();
    this._composer = new Composer({ onSend: (request) => this._send(request), modes });
    this._controls = new Controls({
      onPause: () => this._hearing.togglePause(),
      onSkip: () => this._hearing.skip(),
      onBack: () => this._hearing.back(),
      onStop: () => this._hearing.stop(this._story),
      onUnlock: () => this._hearing.unlock(),
      onVoice: (voice) => this._hearing.setVoice(voice),
      onVolume: (volume) => this._hearing.setVolume(volume),
      onSettings: (patch) => this._wishSettings(patch),
    });
    this._log = new LogView();
    this._storyView = new StoryView({
      onReplay: (turn) => this._hearing.replay(turn),
      onAsk: listening ? null : (request) => this._askFurther(request),
      onProblem: (text) => this._controls.showNotice(text),
      link: (path, query) => this._api.link(this._session.id, path, query),
    });
  }

  _makeEar() {
    return new Listening({
      begin: () => this._begun(),
      change: (patch) => this._changeSettings({ listening: patch }),
      announce: (text) => this._controls.announce(text),
      onChange: () => this._paint(),
    });
  }

  /** How the session listens: {settings, choose(patch)}; null for a guest. */
  get listening() {
    return this._ear;
  }

  get _story() {
    return this._session?.story ?? emptyStory();
  }

  async start() {
    byId("copy-link").addEventListener("click", () => this._copyLink());
    addEventListener("pagehide", () => this._hearing.save());
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => this._hearing.unlock());
    if (this._id) this._open(this._id);
    else this._welcome();
    await Promise.all([this._openSound(), this._listening || this._showVoices()]);
  }

  stats() {
    return { ...this._hearing.stats(), lastSeq: this._story.lastSeq };
  }

  _open(id) {
    this._session = new Session({
      id,
      url: this._api.streamUrl(id),
      onPast: () => this._pastIsKnown(),
      onChange: () => this._paint(),
      onFact: (fact) => this._happened(fact),
      onState: (state) => this._connection(state),
    });
    byId("copy-link").hidden = this._listening;
    byId("new-session").hidden = this._listening;
    byId("share").hidden = this._listening;
    byId("share").dataset.session = id;
    byId("timeline").hidden = this._listening;
    byId("timeline").href = `./?timeline=${id}`;
  }

  _happened(fact) {
    // Who listens to something for oneself and begins to speak wants an answer, not that.
    if (fact.type === "speech.started" && this._ear?.owns(fact.data.input) && this._hearing.replaying) {
      this._hearing.stopReplay();
    }
    this._hearing.onFact(fact);
  }

  async _pastIsKnown() {
    const session = this._session;
    const fromTheStart = this._madeHere;
    if (!fromTheStart && this._story.order.length === 0 && this._story.ended === null) this._welcome();
    const skewMs = fromTheStart
      ? 0
      : await orElse(
          () => 0,
          () => this._api.clockSkewMs(session.id),
        );
    this._hearing.attach(session, { skewMs, fromTheStart });
  }

  async _openSound() {
    const audible = await this._hearing.open();
    if (!audible) this._controls.showMute("This browser plays sound only on https:// or localhost.");
  }

  async _showVoices() {
    const voices = await orElse(
      () => [],
      () => this._api.voices(),
    );
    this._controls.showVoices(voices);
    this._paint();
  }

  /** The session; the first request, by hand or by voice, makes it. */
  async _begun(title = "") {
    if (!this._session) await (this._making ??= this._make(title).finally(() => (this._making = null)));
    return this._session;
  }

  async _make(title) {
    this._madeHere = true;
    const listening = { ...this._ear.choices, ...this._settings.listening };
    const created = await this._api.createSession({ ...this._settings, listening }, title);
    history.replaceState(null, "", `?session=${created.session_id}`);
    this._open(created.session_id);
  }

  async _send(request) {
    this._hearing.unlock();
    const { id } = await this._begun((request.prompt ?? request.text).trim().slice(0, TITLE_CHARS));
    const settings = { speak: this._hearing.wantsVoice };
    await this._ask(id, { ...request, settings }, crypto.randomUUID());
  }

  /** By a button below an answer; what is wrong is said where other refusals of the session are. */
  _askFurther(request) {
    const refused = ({ message }) => this._controls.showNotice(asSentence(message));
    return orElse(refused, async () => {
      if (request.prompt) return this._send(request);
      this._hearing.unlock();
      this._hearing.setVoice(true);
      return this._api.requestTurn(this._session.id, { ...request, settings: { speak: true } }, crypto.randomUUID());
    });
  }

  _control(action, about) {
    const onProblem = ({ code, message }) => {
      if (code !== "turn.none_running") this._controls.showNotice(asSentence(message));
    };
    this._controls.showNotice(null);
    return orElse(onProblem, () => this._api.control(this._session.id, action, about));
  }

  _wishSettings(patch) {
    const onProblem = ({ message }) => {
      this._controls.showSettingsProblem(asSentence(message));
      this._paint();
    };
    return orElse(onProblem, () => this._changeSettings(patch));
  }

  /** Of the session, or of the one that will be begun. */
  async _changeSettings(patch) {
    const listening = { ...this._settings.listening, ...patch.listening };
    this._settings = { ...this._settings, ...patch, listening };
    this._paint();
    if (this._session) await this._api.changeSettings(this._session.id, patch);
  }

  async _copyLink() {
    const label = byId("copy-link").lastElementChild;
    try {
      await navigator.clipboard.writeText(location.href);
      label.textContent = "Copied";
      setTimeout(() => (label.textContent = "Copy link"), COPIED_MS);
    } catch (error) {
      if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
      this._controls.showNotice(`The link is ${location.href}`); // the browser keeps its clipboard to itself
    }
  }

  _connection(state) {
    this._controls.showConnection(state);
    const refused = state.state === "refused";
    if (state.state === "offline") this._controls.showNotice(OFFLINE);
    if (state.state === "live") {
      this._controls.showNotice(null);
      this._composer.connected();
    }
    byId("refusal").hidden = !refused;
    byId("dock").hidden = refused;
    for (const part of ["copy-link", "share", "timeline"]) byId(part).hidden = refused || this._listening;
    if (refused || state.state === "ended") this._ear?.hangUp();
    if (refused) say(byId("refusal").firstElementChild, asSentence(state.message));
    byId("composer").hidden = refused || state.state === "ended" || this._listening;
  }

  _welcome() {
    if (document.body.dataset.place !== "ask") return;
    byId("welcome").hidden = false;
    this._composer.invite();
  }

  _draw() {
    const story = this._story;
    const { heard, paused, buffering, locked, preferences } = this._hearing;
    const turn = heard && story.turns[heard.turn];
    const answering = Boolean((heard && !paused) || runningTurn(story));
    const coming = this._ear?.draw(story, answering) ?? null;
    if (story.order.length || coming) byId("welcome").hidden = true;
    document.title = story.title || story.turns[story.order[0]]?.prompt.slice(0, 60) || "Rhapsode";
    if (document.body.dataset.place === "ask") say(byId("heading"), byId("welcome").hidden && document.title);
    this._onStory(story);
    this._storyView.update(story, heard, coming);
    this._log.update(story);
    this._controls.showSound(preferences);
    this._controls.showSettings(story.settings);
    this._controls.showUnlock(Boolean(heard) && locked);
    this._controls.showTransport({
      hearing: Boolean(heard),
      active: Boolean(heard ?? runningTurn(story)),
      paused,
      time: turn?.audioMs ? { ms: heard.ms, ofMs: turn.audioMs } : null,
      doing: this._describe(story, turn, { paused, buffering }),
    });
  }

  /** An answer that is not read out is told to a screen reader when it is complete. */
  _describe(story, turn, { paused, buffering }) {
    const doing = whatIsDone(story, turn, { paused, buffering: false });
    const last = story.turns[story.order.at(-1)];
    const written = this._hearing.wantsVoice || !last ? "Finished" : isOver(last) ? last.text : "";
    const spoken = doing || (turn ? "Reading aloud" : written);
    if (spoken !== this._doing && last) this._controls.announce(spoken);
    this._doing = spoken;
    return whatIsDone(story, turn, { paused, buffering });
  }
}
