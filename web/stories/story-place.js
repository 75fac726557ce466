/** One story: its scenes, what is heard of them, and the next one. */

import { orElse } from "../api.js";
import { newKey } from "../client/connection.js";
import { asSentence, byId, make, say } from "../dom.js";
import { Session } from "../session.js";
import { runningTurn } from "../story.js";
import { StoriesApi } from "./api.js";
import { ScenesView } from "./scenes-view.js";
import { Voices } from "./voices.js";
import { t } from "../strings.js";

const LOCAL = "local";
const ASKING = { placeholder: t("What happens? (Leave it empty, and the story decides.)"), optional: true };
const MODES = [
  { mode: "aloud", label: t("Write and read aloud"), ...ASKING },
  { mode: "write", label: t("Write"), ...ASKING },
  { mode: "text", label: t("Own text"), placeholder: t("Paste a scene to hear it word for word…") },
];

/** The turn of a scene by its id. */
const turnOf = (scene) => Number(scene.split(".").at(-1));

export class StoryPlace {
  constructor(id, shell) {
    this.id = id;
    this._shell = shell;
    this._stories = new StoriesApi();
    this._scenes = new ScenesView({
      onReplay: (turn) => this._voices.hear(turn, 0),
      onNarrate: (turn, again) => this._voices.narrate(turn, again),
      onCancel: (turn) => this._voices.cancel(turn),
      onWrite: (turn, direction) => this._rewrite(turn, direction),
      onText: (turn, text, parts) => this._edit(turn, text, parts),
      onVoices: (turn, voices, parts) => this._voices.narrate(turn, true, voices, parts),
      voices: () => this._choices(),
      onChange: shell.paint,
      link: (session, path, query) => shell.api.link(session ?? id, path, query),
    });
    this._reads = true; // new scenes are read out, unless the settings say no
    this._session = shell.hearing.kept(id) ?? new Session({ id, url: shell.api.streamUrl(id) });
    this._voices = new Voices({
      session: this._session,
      hearing: shell.hearing,
      api: shell.api,
      stories: this._stories,
      onChange: shell.paint,
    });
  }

  get story() {
    return this._session.story;
  }

  get title() {
    return this.story.title || t("Untitled");
  }

  get about() {
    return { id: this.id, kind: "story", title: this.title };
  }

  async start() {
    const { composer, hearing, paint } = this._shell;
    composer.use({ draft: this.id, modes: MODES });
    this._premise = make("p", { class: "premise", hidden: "" });
    this._hint = make("p", { class: "note", hidden: "" }, t("Say below how the story begins, or leave the box empty and send."));
    byId("head").replaceChildren(this._premise, this._hint);
    this._session.listen({
      onPast: () => this._pastIsKnown(),
      onChange: paint,
      onFact: (fact) => hearing.onFact(this._session, fact),
      onState: (state) => this._shell.connection(state),
    });
    await Promise.all([this._learnPreferences(), this._learnPremise()]);
  }

  leave() {
    this._voices.leave();
    this._shell.hearing.leave(this._session);
  }

  stats() {
    return { lastSeq: this.story.lastSeq };
  }

  get locked() {
    return this._shell.hearing.locked;
  }

  /** The settings were changed here; until they were `chosen`, scenes are read aloud while they are written. */
  preferencesChanged({ tts_enabled: enabled, realtime_tts_enabled: atOnce }, chosen = true) {
    this._reads = enabled;
    this._shell.composer.allow("aloud", enabled, t("Reading aloud is off in the settings."));
    this._shell.composer.prefer(enabled && (atOnce || !chosen) ? "aloud" : "write");
  }

  /** A narration that nobody here asked for is ready. Returns false if it is not of this story. */
  narrationReady({ story_id: story, scene_id: scene }, play) {
    if (story !== this.id) return false;
    this._voices.offered(turnOf(scene), play);
    return true;
  }

  narrationFailed({ story_id: story }) {
    return story === this.id; // the scene says it
  }

  /** The page is left. */
  save() {
    this._shell.hearing.save();
    this._voices.save();
    return true;
  }

  async _pastIsKnown() {
    const skewMs = await orElse(
      () => 0,
      () => this._shell.api.clockSkewMs(this.id),
    );
    if (this._shell.place !== this) return;
    this._shell.hearing.attach(this._session, { skewMs, chapters: this._voices.chapters });
    this._voices.resume(new URLSearchParams(location.search).get("hear"));
    history.replaceState(null, "", `?story=${encodeURIComponent(this.id)}${location.hash}`);
    this._shell.noted(this.about);
    this._shell.paint();
    if (location.hash) byId(location.hash.slice(1))?.scrollIntoView();
    else if (matchMedia("(hover: hover)").matches) this._shell.composer.focus();
  }

  async _learnPreferences() {
    const refused = ({ message }) => this._shell.controls.showNotice(asSentence(message));
    const [preferences, history] = await Promise.all([
      orElse(refused, () => this._stories.preferences()),
      orElse(() => [], () => this._stories.preferencesHistory()),
    ]);
    const chosen = history.some(({ preferences: once }) => once.realtime_tts_enabled || once.auto_play_last_scene);
    if (preferences && this._shell.place === this) this.preferencesChanged(preferences, chosen);
  }

  async _learnPremise() {
    const about = await orElse(
      () => null,
      () => this._stories.get(this.id),
    );
    if (about) say(this._premise, about.premise);
  }

  /** `replaces`: the turn of the scene whose place it takes, if it takes one. */
  async send({ aloud, write, text, replaces }) {
    const { hearing } = this._shell;
    hearing.unlock();
    if (text !== undefined) {
      await this._give({ content: text }, this._reads);
      return;
    }
    const ask = aloud === undefined ? "write" : "tell";
    if (ask === "tell") {
      this.stopped();
      if (hearing.session !== this._session) hearing.makeRoom();
      else if (hearing.replaying) hearing.stopReplay(); // a scene that is being told is told to its end
    }
    const wish = { custom_prompt: aloud ?? write, ...this._replacing(replaces) };
    await hearing.asks(async () => {
      const { id, session_id: scene = id } = await this._stories[ask](this.id, wish, newKey());
      return { session: this._session, turn: turnOf(scene) };
    });
  }

  _replacing(turn) {
    return turn === undefined ? {} : { replaces: `${this.id}.${turn}` };
  }

  _rewrite(turn, direction) {
    const { speak } = this.story.turns[turn];
    return this._accepted(() => this.send({ [speak ? "aloud" : "write"]: direction, replaces: turn }));
  }

  /** The scene with another text, which is read out again where it was; `parts`: who speaks what then. */
  _edit(turn, content, parts) {
    const heard = this._voices.msOf(turn) > 0;
    return this._accepted(() => this._give({ content, ...this._replacing(turn) }, heard, parts));
  }

  async _give(wish, reads, parts = []) {
    const { id } = await this._stories.give(this.id, wish, newKey());
    if (reads) await this._voices.narrate(turnOf(id), false, parts);
  }

  /** Resolves with true once the server has taken it; a refusal is shown. */
  _accepted(action) {
    return orElse(({ message }) => this._shell.controls.showNotice(asSentence(message)), () => action().then(() => true));
  }

  /** The voices that may speak a part of a scene. */
  async _choices() {
    const [voices, { tts_provider: provider }] = await Promise.all([this._stories.voices(), this._stories.preferences()]);
    return voices.filter((voice) => voice.provider === (provider ?? LOCAL));
  }

  /** A click on a word of a scene: what is heard of it. */
  heardIn(scene) {
    return this._voices.readingOf(scene);
  }

  hear(scene, ms) {
    this._voices.hear(scene, ms);
  }

  /** Nothing is heard, and the space bar or the headset asks for something. */
  play() {
    this._voices.latest();
  }

  /** The player's Stop. */
  stopped() {
    this._voices.forget();
  }

  draw() {
    const voice = this._voices.update();
    if (this.story.lastSeq === 0) return;
    this._hint.hidden = this.story.order.length > 0;
    this._scenes.update(this.story, voice, runningTurn(this.story)?.id);
  }
}
