/** One story: its scenes, what is heard of them, and the next one. */

import { Api, orElse } from "../api.js";
import { Composer } from "../composer.js";
import { Controls } from "../controls.js";
import { asSentence, byId, make, oncePerFrame, say } from "../dom.js";
import { Hearing } from "../hearing.js";
import { LogView } from "../log-view.js";
import { Session } from "../session.js";
import { runningTurn } from "../story.js";
import { whatIsDone } from "../doing.js";
import { StoriesApi } from "./api.js";
import { ScenesView } from "./scenes-view.js";
import { Voices } from "./voices.js";

const ASKING = { placeholder: "What happens next? (Leave it empty, and it goes on as it likes.)", optional: true };
const MODES = [
  { mode: "aloud", label: "Write and read aloud", ...ASKING },
  { mode: "write", label: "Write", ...ASKING },
];

export class StoryPlace {
  constructor(id) {
    this.id = id;
    this._api = new Api();
    this._stories = new StoriesApi();
    this._paint = oncePerFrame(() => this._draw());
    this._doing = "";
    this._hearing = new Hearing({
      control: (action, about) => this._control(action, about),
      onChange: () => this._paint(),
      onTrouble: (text) => this._controls.showNotice(text),
    });
    this._controls = new Controls({
      onPause: () => this._voices.toggle(),
      onSkip: () => this._hearing.skip(),
      onBack: () => this._hearing.back(),
      onStop: () => this._voices.stop(),
      onUnlock: () => this._hearing.unlock(),
      onVoice: (voice) => this._hearing.setVoice(voice),
      onVolume: (volume) => this._hearing.setVolume(volume),
      onSettings: () => {},
    });
    this._composer = new Composer({ onSend: (wish) => this._send(wish), modes: MODES });
    this._log = new LogView();
    this._scenes = new ScenesView({
      onPlay: (turn) => this._voices.playOrPause(turn),
      onSkip: () => this._hearing.skip(),
      onStop: () => this._voices.stop(),
      onNarrate: (turn, again) => this._voices.narrate(turn, again),
      onCancel: (turn) => this._voices.cancel(turn),
      onRewrite: (turn) => this._rewrite(turn),
      onChange: () => this._paint(),
      link: (session, path, query) => this._api.link(session ?? id, path, query),
    });
    this._session = new Session({
      id,
      url: this._api.streamUrl(id),
      onPast: () => this._pastIsKnown(),
      onChange: () => this._paint(),
      onFact: (fact) => this._hearing.onFact(fact),
      onState: (state) => this._connection(state),
    });
    this._voices = new Voices({
      session: this._session,
      hearing: this._hearing,
      api: this._api,
      stories: this._stories,
      onChange: () => this._paint(),
    });
  }

  async start() {
    const head = make("header", { class: "story-head" }, make("h1", { hidden: "" }), make("p", { class: "premise", hidden: "" }));
    byId("story").before(head);
    this._head = head;
    for (const name of ["share", "timeline"]) byId(name).hidden = false;
    byId("share").dataset.session = this.id;
    byId("timeline").href = `./?timeline=${encodeURIComponent(this.id)}`;
    addEventListener("pagehide", () => this._save());
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => this._hearing.unlock());
    await Promise.all([this._openSound(), this._learnPreferences(), this._learnPremise()]);
  }

  stats() {
    return {
      ...this._hearing.stats(),
      lastSeq: this._session.story.lastSeq,
      session: this._hearing.heard?.session ?? null,
    };
  }

  get locked() {
    return this._hearing.locked;
  }

  /** The settings were changed here. */
  preferencesChanged({ tts_enabled: enabled, realtime_tts_enabled: atOnce }) {
    this._composer.allow("aloud", enabled, "Reading aloud is off in the settings.");
    this._composer.prefer(enabled && atOnce ? "aloud" : "write");
  }

  /** A narration that nobody here asked for is ready. Returns false if it is not of this story. */
  narrationReady({ story_id: story, scene_id: scene }, play) {
    if (story !== this.id) return false;
    this._voices.offered(Number(scene.split(".").at(-1)), play);
    return true;
  }

  narrationFailed({ story_id: story }) {
    return story === this.id; // the scene says it
  }

  _save() {
    this._hearing.save();
    this._voices.save();
  }

  async _pastIsKnown() {
    const skewMs = await orElse(
      () => 0,
      () => this._api.clockSkewMs(this.id),
    );
    this._hearing.attach(this._session, { skewMs, fromTheStart: false });
    this._voices.resume(new URLSearchParams(location.search).get("hear"));
    history.replaceState(null, "", `?story=${encodeURIComponent(this.id)}${location.hash}`);
    this._draw();
    if (location.hash) document.querySelector(location.hash)?.scrollIntoView();
    else if (matchMedia("(hover: hover)").matches) this._composer.focus();
  }

  async _openSound() {
    const audible = await this._hearing.open();
    if (!audible) this._controls.showMute("This browser plays sound only on https:// or localhost.");
  }

  async _learnPreferences() {
    const refused = ({ message }) => this._controls.showNotice(asSentence(message));
    const preferences = await orElse(refused, () => this._stories.preferences());
    if (preferences) this.preferencesChanged(preferences);
  }

  async _learnPremise() {
    const about = await orElse(
      () => null,
      () => this._stories.get(this.id),
    );
    if (about) say(this._head.lastElementChild, about.premise);
  }

  async _send({ aloud, write }) {
    this._hearing.unlock();
    const ask = aloud === undefined ? "write" : "tell";
    if (ask === "tell") this._voices.makeRoom();
    await this._stories[ask](this.id, aloud ?? write, crypto.randomUUID());
  }

  _rewrite(turn) {
    const { prompt, speak } = this._session.story.turns[turn];
    const refused = ({ message }) => this._controls.showNotice(asSentence(message));
    return orElse(refused, () => this._send(speak ? { aloud: prompt } : { write: prompt }));
  }

  _control(action, about) {
    const onProblem = ({ code, message }) => {
      if (code !== "turn.none_running") this._controls.showNotice(asSentence(message));
    };
    this._controls.showNotice(null);
    return orElse(onProblem, () => this._api.control(this.id, action, about));
  }

  _connection(state) {
    this._controls.showConnection(state);
    const refused = state.state === "refused";
    byId("refusal").hidden = !refused;
    byId("dock").hidden = refused;
    for (const name of ["share", "timeline"]) byId(name).hidden = refused;
    if (refused) say(byId("refusal").firstElementChild, asSentence(state.message));
    byId("composer").hidden = refused || state.state === "ended";
  }

  _draw() {
    const { story } = this._session;
    const voice = this._voices.update();
    if (story.lastSeq === 0) return;
    document.title = `${story.title || "Untitled"} · Rhapsode`;
    say(this._head.firstElementChild, story.title || "Untitled");
    this._scenes.update(story, voice);
    this._log.update(story);
    this._controls.showSound(this._hearing.preferences);
    this._controls.showUnlock(voice.heard !== null && this._hearing.locked);
    const doing = whatIsDone(story, voice.reading, { paused: voice.paused, buffering: this._hearing.buffering });
    this._controls.showTransport({
      hearing: voice.heard !== null,
      active: voice.heard !== null || runningTurn(story) !== null,
      paused: voice.paused,
      time: voice.reading?.audioMs ? { ms: voice.heard.ms, ofMs: voice.reading.audioMs } : null,
      doing,
    });
    const spoken = doing || (voice.heard ? `Reading scene ${story.order.indexOf(voice.scene) + 1}` : "Finished");
    if (spoken !== this._doing && story.order.length) this._controls.announce(spoken);
    this._doing = spoken;
  }
}
