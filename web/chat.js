/** A chat: one session, asked by hand or by voice, with a character and what it knows. */

import { orElse } from "./api.js";
import { newKey } from "./client/connection.js";
import { ConversationsApi } from "./conversations/api.js";
import { asSentence, byId } from "./dom.js";
import { listeningOf } from "./microphone/state.js";
import { soon } from "./parts.js";
import { userName } from "./credentials.js";
import { Session } from "./session.js";
import { emptyStory, forkPointOf, runningTurn, titleIn } from "./story.js";
import { t } from "./strings.js";


export class ChatPlace {
  /** `id` of the session, or null to begin one; `wish`: {character, collections} to begin it with. */
  constructor(id, shell, wish = {}) {
    this.id = id;
    this._shell = shell;
    this._conversations = new ConversationsApi();
    this._session = null;
    this._making = null;
    this._wish = { character: null, collections: [], ...wish };
    this._settings = {}; // chosen before there is a session to keep them
    this._madeHere = false; // this page made the session, nobody was there before
    this._named = ""; // the title that the history was told
    this._storyView = null; // comes with its part of the page
    this._files = null; // likewise
    this._attached = ""; // name of a file that waits for it
  }

  get story() {
    return this._session?.story ?? emptyStory();
  }

  /** {id, kind, title}, or null while there is no session. */
  get about() {
    return this._session && { id: this._session.id, kind: this.story.kind, title: this.title };
  }

  get title() {
    return this.name || t("New chat");
  }

  /** Its title, or its first words; empty while it has neither. */
  get name() {
    return titleIn(this.story);
  }

  /** Of the session, as the server has them now. */
  async settings() {
    return (await this._shell.api.session(this.id)).settings;
  }

  start() {
    void this._showStory();
    this._filesCome = this._shell.guest ? null : this._showFiles();
    this._shell.composer.use({ draft: this.id ?? "new" });
    if (this.id) this._open(this.id);
    else this._welcome();
  }

  async _showStory() {
    const { StoryView } = await soon();
    this._storyView = new StoryView({
      onReplay: (turn) => this.hear(turn),
      onAsk: this._shell.guest ? null : (request) => this._askFurther(request),
      onFork: (turn) => this._fork(turn),
      onProblem: (text) => this._shell.controls.showNotice(text),
      link: (path, query) => this._shell.api.link(this._session.id, path, query),
    });
    this._shell.paint();
  }

  async _showFiles() {
    const { ChatFiles } = await soon();
    if (this._shell.place !== this) return;
    this._files = new ChatFiles(this);
    this._shell.paint();
  }

  /** Its own conversation, of this user's: files may be added to it. */
  get _takesFiles() {
    if (!this._session) return true;
    return this.story.kind === "thread" && this.story.lastSeq > 0 && !this.story.members.includes(userName());
  }

  /** Files become documents of a knowledge base of the chat's own. Rejects with a Problem. */
  async attach(files) {
    this._attached = files[0].name;
    await this._filesCome;
    await this._files?.add(files);
  }

  leave() {
    this._files?.leave();
    this._shell.listening?.leave();
    if (this._session) this._shell.hearing.leave(this._session);
  }

  /** Hear a turn from `ms` on, for oneself. */
  hear(turn, ms = 0) {
    this._shell.hearing.replay(turn, { ms, of: this._session });
  }

  /** The turn of an element on the page, as far as it can be heard. */
  heardIn(turn) {
    return this.story.turns[turn] ?? null;
  }

  _open(id) {
    this.id = id;
    const kept = this._shell.hearing.kept(id);
    this._session = kept ?? new Session({ id, url: this._shell.api.streamUrl(id) });
    const here = (handle) => (about) => this._shell.place === this && handle(about);
    this._session.listen({
      onPast: here(() => this._pastIsKnown()),
      onChange: here(this._shell.paint),
      onFact: here((fact) => this._happened(fact)),
      onState: here((state) => this._shell.connection(state)),
    });
  }

  _happened(fact) {
    const { listening, hearing } = this._shell;
    // A listener that hears something for itself, or of another place, and begins to speak wants an answer.
    const mine = fact.type === "speech.started" && listening?.owns(fact.data.input);
    if (mine && (hearing.replaying || hearing.session !== this._session)) hearing.stopReplay();
    hearing.onFact(this._session, fact);
  }

  async _pastIsKnown() {
    const session = this._session;
    const { story } = session;
    if (!this._madeHere && story.order.length === 0 && story.ended === null) this._welcome();
    if (story.kind === "thread" && story.settings?.character && !this._shell.guest) void this._learnCharacter();
    const skewMs = this._madeHere ? 0 : await orElse(() => 0, () => this._shell.api.clockSkewMs(session.id));
    if (session !== this._session || this._shell.place !== this) return;
    this._shell.hearing.attach(session, { skewMs, after: this._madeHere ? 0 : null, acks: !this._shell.guest });
  }

  /** Members do not have the owner's characters in their own list. */
  async _learnCharacter() {
    const { character } = await orElse(() => ({}), () => this._conversations.thread(this.id));
    if (character) this._shell.head.named(character);
    this._shell.paint();
  }

  /** The session; the first request, by hand or by voice, makes it. */
  async begun() {
    if (!this._session) await (this._making ??= this._make().finally(() => (this._making = null)));
    return this._session;
  }

  async _make() {
    await this._shell.complete;
    const listening = listeningOf(this._shell.listening?.choices, this._settings.listening);
    const { character, collections, ...model } = this._wish;
    const known = collections.length ? { collections } : {};
    const wish = { character, settings: { ...this._settings, ...model, ...known, listening } };
    const { id } = await this._conversations.begin(wish);
    this._madeHere = true;
    this._open(id);
    if (this._shell.place !== this) this._shell.hearing.leave(this._session); // left while it was being made
    this._shell.named(this, { id, kind: "thread", title: "" });
  }

  /** A question waits until all files of the chat can be found; `tell(words)` says so. */
  async send(request, tell = () => {}) {
    const { hearing } = this._shell;
    hearing.unlock();
    await hearing.asks(async () => {
      if (request.prompt) await this._filesRead(tell);
      hearing.makeRoom();
      const session = await this.begun();
      return { session, turn: await this._ask(session.id, request, await this._isThread()) };
    });
  }

  async _filesRead(tell) {
    if (this._attached && !this._files) {
      tell(t("The question is sent when {name} is read.", { name: this._attached }));
      await this._filesCome;
    }
    await this._files?.ready(tell);
  }

  /** Of a session whose events have not come yet the server says what it is. */
  async _isThread() {
    if (this._madeHere) return true;
    if (this.story.lastSeq) return this.story.kind === "thread";
    const none = (error) => {
      if (error.status !== 404) throw error;
      return false;
    };
    return orElse(none, async () => Boolean(await this._conversations.thread(this.id)));
  }

  /** Resolves with the turn. */
  async _ask(id, request, isThread) {
    const key = newKey();
    const speak = this._shell.hearing.wantsVoice;
    if (request.prompt && isThread) return this._conversations.ask(id, request, { aloud: speak, key });
    return (await this._shell.api.requestTurn(id, { ...request, settings: { speak } }, key)).turn;
  }

  /** By a button below an answer; what is wrong is said where other refusals of the session are. */
  _askFurther(request) {
    const refused = ({ message }) => this._shell.controls.showNotice(asSentence(message));
    if (request.text) this._shell.hearing.setVoice(true);
    return orElse(refused, () => this.send(request));
  }

  /** Go on in a new chat that has the events of this one up to the end of `turn`. */
  _fork(turn) {
    const { api, controls, hearing } = this._shell;
    const refused = ({ message }) => controls.showNotice(asSentence(message));
    return orElse(refused, async () => {
      hearing.makeRoom();
      const { session_id: id } = await api.fork(this.id, { at: forkPointOf(this.story, turn) });
      await this._shell.go(`./?session=${id}`);
    });
  }

  /** Of the session, or of the one that will be begun. */
  async changeSettings(patch) {
    const listening = listeningOf(this._settings.listening, patch.listening);
    this._settings = { ...this._settings, ...patch, listening };
    this._shell.paint();
    if (this._session) await this._shell.api.changeSettings(this._session.id, patch);
  }

  /** Another character, other knowledge or another model: from the next question on. */
  async choose(wish) {
    this._wish = { ...this._wish, ...wish };
    this._shell.paint();
    if (!this._session) return;
    if ("character" in wish) await this._conversations.change(this.id, wish);
    else await this._shell.api.changeSettings(this.id, wish);
  }

  _welcome() {
    byId("welcome").hidden = false;
    this._shell.composer.invite();
  }

  draw({ heard, does }) {
    const { story } = this;
    const { listening, controls, head, guest } = this._shell;
    const coming = listening?.draw(story, does) ?? null;
    if (story.order.length || coming) byId("welcome").hidden = true;
    const mine = heard?.session === this.id ? heard : null;
    this._storyView?.update(story, mine, coming);
    controls.showSettings(story.settings);
    if (!guest) head.show(this._session ? story.kind === "thread" && story.settings : this._wish, this.id);
    this._shell.composer.takeFiles(this._takesFiles);
    const { collections = [] } = (this._session ? story.settings : this._wish) ?? {};
    this._files?.update(this._takesFiles ? collections : [], listening?.isOn ?? false);
    if (!this._session || story.lastSeq === 0) return;
    if (this._named !== this.title) this._tellName(story);
  }

  /** A chat that was begun by voice, or with a text to be read, has its first words as its title. */
  _tellName(story) {
    this._named = this.title;
    const first = story.turns[story.order[0]];
    if (!first) return;
    this._shell.noted(this.about);
    if (!this._madeHere || story.title || (first.kind === "prompt" && !first.spoken)) return;
    void orElse(() => {}, () => this._shell.api.rename(this.id, this.title));
  }

  /** Nothing is heard, and the space bar or the headset asks for something. */
  play() {
    const last = this.story.order.findLast((id) => this.story.turns[id].audioMs > 0);
    if (last !== undefined) this.hear(last);
  }

  stats() {
    return { lastSeq: this.story.lastSeq };
  }

  get running() {
    return runningTurn(this.story);
  }
}
