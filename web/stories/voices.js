/** Which scene is heard, whichever session its sound is in; and what one wants to hear next. */

import { orElse } from "../api.js";
import { asSentence } from "../dom.js";
import { placeIn } from "../storage.js";
import { Chapters } from "./chapters.js";
import { Narrations } from "./narrations.js";
import { soundOf } from "./sound.js";

const STALE_MS = 10 * 60_000; // as for a session's own place: later than this nothing begins by itself

export class Voices {
  constructor({ session, hearing, api, stories, onChange }) {
    this._session = session;
    this._hearing = hearing;
    this._stories = stories;
    this._onChange = onChange;
    this._narrations = new Narrations({
      url: (id) => api.streamUrl(id),
      totalOf: (id) => stories.totalChunks(id),
      onChange,
    });
    this._place = placeIn(`${session.id}:scene`);
    // {scene, ms, patient, session}: to be heard as soon as it can be; `patient`: after what is heard now;
    // `session`: this narration of it and no earlier one
    this._wanted = null;
    this._played = new Map(); // narrations that were played here, and of which scene
    this._asking = new Set(); // scenes for which the server is being asked
    this._problems = new Map(); // the server's refusals, by scene
    this._fresh = new Set(); // scenes that nobody has heard here since they were read out
    this._sounds = new Map();
    this.chapters = new Chapters(this);
  }

  get story() {
    return this._session.story;
  }

  /** Of the scene's sound, as far as it is there. */
  msOf(scene) {
    return this._sounds.get(scene)?.ms ?? 0;
  }

  /** `{scene, ms}` of what is heard of the story, or null. */
  get heardScene() {
    const { heard } = this._hearing;
    const scene = this._sceneOf(heard);
    return scene === null ? null : { scene, ms: heard.ms };
  }

  /** To be called before drawing: plays what is wanted; answers with what is heard and with `about(scene)`. */
  update() {
    const { story } = this._session;
    for (const id of story.order) this._learn(story.turns[id]);
    this._playWanted();
    const { heard } = this._hearing;
    const scene = this._sceneOf(heard);
    if (scene !== null) {
      this._fresh.delete(scene);
      this._prepare(this.chapters.after(scene));
    }
    return { heard: scene === null ? null : heard, scene, about: (id) => this._about(id) };
  }

  /** Begin the latest scene that can be heard. */
  latest() {
    const scene = this._session.story.order.findLast((id) => this._sounds.get(id)?.ms > 0);
    if (scene !== undefined) this.hear(scene, 0);
  }

  hear(scene, ms) {
    this._want({ scene, ms, patient: false });
  }

  /** To `ms` of the scene that is heard. */
  seek(ms) {
    this._hearing.seek(ms);
  }

  /** A scene was heard to its end: hear the next one that there is sound of. */
  goOn(heard) {
    const next = this.chapters.after(this._sceneOf(heard));
    if (next === null) return;
    this._want({ scene: next, ms: 0, patient: false });
    this._playWanted();
  }

  /** The turn that is heard of a scene, as far as it is known, or null. */
  readingOf(scene) {
    return this._sounds.get(scene)?.reading ?? null;
  }

  /** Nothing is wanted any more. */
  forget() {
    this._wanted = null;
  }

  /** The place is left; what is heard goes on. */
  leave() {
    this.save();
    this._narrations.close(this._hearing.heard?.session);
  }

  /**
   * Have it read out and hear it; `voices`: parts that other voices speak, `[{start, end, voice}]`. `parts`: the only ones that are
   * spoken again, `[{start, end}]`; the first of them is heard.
   */
  narrate(scene, again, voices = [], parts = []) {
    const ms = momentOf(this.readingOf(scene), parts);
    return this._ask(scene, async () => {
      const { session_id: session } = await this._stories.narrate(this._nameOf(scene), again, voices, parts);
      if (this._sceneOf(this._hearing.heard) === scene) this._hearing.stopReplay();
      this._want({ scene, ms, patient: false, session: session === this._nameOf(scene) ? null : session });
    });
  }

  cancel(scene) {
    const { session } = this._sounds.get(scene);
    if (this._wanted?.scene === scene) this._wanted = null;
    return this._ask(scene, () => this._stories.cancelNarration(session));
  }

  /** It was read out without being asked for; `play`: and is to be heard without being asked for. */
  offered(scene, play) {
    if (!this.story.order.includes(scene)) return; // another one has taken its place
    this._fresh.add(scene);
    if (play && this._hearing.wantsVoice) this._want({ scene, ms: 0, patient: true });
    this._onChange();
  }

  /** The past is known: hear the scene that an address names, or go on where this tab was. */
  resume(named) {
    const place = this._place.read();
    this._place.write(null);
    if (named !== null) this._want({ scene: Number(named), ms: 0, patient: false });
    else if (place && Date.now() - place.at < STALE_MS) this._want({ scene: place.scene, ms: place.ms, patient: true });
  }

  save() {
    const { heard, replaying } = this._hearing;
    const scene = this._sceneOf(heard);
    if (scene !== null && replaying) this._place.write({ scene, ms: Math.round(heard.ms), at: Date.now() });
  }

  _want(wanted) {
    this._wanted = wanted;
    this._problems.delete(wanted.scene);
    this._onChange();
  }

  _playWanted() {
    if (!this._wanted || !this._hearing.ready) return;
    const { scene, ms, patient, session: named } = this._wanted;
    if (!this._sounds.has(scene)) return; // its events have not come yet
    const { session, turn, state, reading } = this._sounds.get(scene);
    if (named && session !== named) return;
    const opened = session && this._narrations.open(session);
    if (opened?.problem) this._problems.set(scene, opened.problem);
    if (state === "failed" || opened?.problem) this._wanted = null;
    if (!this._wanted || !reading || (session && !opened.known) || this._asking.has(scene)) return;
    if (patient && this._hearing.heard) return;
    this._wanted = null;
    if (session) this._played.set(session, scene);
    this._hearing.replay(turn, { ms, of: session ? opened.session : this._session, by: this._session });
  }

  /** A narration that is being made is watched; one that was made is looked at when a user wants to hear it. */
  _learn(scene) {
    const { narration } = scene;
    const opened =
      narration &&
      (narration.status === "requested" || narration.session === this._hearing.heard?.session
        ? this._narrations.open(narration.session)
        : this._narrations.get(narration.session));
    const told = opened?.session.story ?? null;
    const known = this._sounds.get(scene.id);
    if (known?.scene === scene && known.told === told) return;
    this._sounds.set(scene.id, { ...soundOf(scene, told), scene, told });
  }

  /** The next scene's sound is there in time. */
  _prepare(scene) {
    const { session } = this._sounds.get(scene) ?? {};
    if (session) this._narrations.open(session);
  }

  _sceneOf(heard) {
    if (!heard) return null;
    const { id, story } = this._session;
    if (heard.session === id) return heard.turn;
    const read = (scene) => story.turns[scene].narration?.session === heard.session; // before this place was left
    return this._played.get(heard.session) ?? story.order.find(read) ?? null;
  }

  _nameOf(scene) {
    return `${this._session.id}.${scene}`;
  }

  _about(id) {
    const sound = this._sounds.get(id);
    const total = (sound.session && this._narrations.get(sound.session)?.total) || null;
    const problem = this._problems.get(id) ?? null;
    return { sound, total, problem, asking: this._asking.has(id), fresh: this._fresh.has(id) };
  }

  async _ask(scene, action) {
    if (this._asking.has(scene)) return;
    this._asking.add(scene);
    this._problems.delete(scene);
    this._onChange();
    await orElse(({ message }) => this._problems.set(scene, asSentence(message)), action);
    this._asking.delete(scene);
    this._onChange();
  }
}

/** Begin of the first of `parts` in an earlier reading, in ms; 0 where it is not known. Pure. */
function momentOf(reading, [first]) {
  return reading?.sentences.find((sentence) => first && sentence?.firstChunk && sentence.end > first.start)?.atMs ?? 0;
}
