/** The scenes of a story as chapters of one recording: where each begins, and the way from one to another. */

const GO_ON = /^Write the (first|next) scene of the story\.$/; // the server's own question, where the user wrote none
const JUST_BEGUN_MS = 3_000; // later than this one step back leads to the beginning of the chapter

/** The user's direction, or "" where the scene was given or the story decided. Pure. */
export const directionOf = ({ kind, prompt }) => (kind !== "prompt" || GO_ON.test(prompt) ? "" : prompt);

/** `[{scene, number, name, ms, atMs}]` in the order of the story; `msOf(scene)` is the length of its sound. Pure. */
export function chaptersOf({ order, turns }, msOf) {
  let atMs = 0;
  return order.map((scene, index) => {
    const chapter = { scene, number: index + 1, name: directionOf(turns[scene]), ms: msOf(scene), atMs };
    atMs += chapter.ms;
    return chapter;
  });
}

/** The chapter that is heard at `ms` of the whole, or null. Pure. */
export const chapterAt = (list, ms) => list.findLast((chapter) => chapter.ms > 0 && chapter.atMs <= ms) ?? null;

export class Chapters {
  /** `voices`: {story, heardScene, msOf(scene), hear(scene, ms), seek(ms), narrate(scene, again), update()}. */
  constructor(voices) {
    this._voices = voices;
  }

  get list() {
    return chaptersOf(this._voices.story, (scene) => this._voices.msOf(scene));
  }

  /** To be called before drawing, also when the story's place was left. */
  refresh() {
    this._voices.update();
  }

  /** The player's view: `{list, current, ms, ofMs}`; null where fewer than two scenes can be heard. `current`: or null. */
  now() {
    const { list } = this;
    if (list.filter(({ ms }) => ms > 0).length < 2) return null;
    const heard = this._voices.heardScene;
    const current = list.find(({ scene }) => scene === heard?.scene) ?? null;
    const ofMs = list.at(-1).atMs + list.at(-1).ms;
    const ms = current ? Math.min(current.atMs + heard.ms, ofMs) : 0;
    return { list, current, ms, ofMs };
  }

  /** To `ms` of the whole. */
  seek(ms) {
    const chapter = chapterAt(this.list, ms);
    if (!chapter) return;
    if (chapter.scene === this._voices.heardScene?.scene) this._voices.seek(ms - chapter.atMs);
    else this._voices.hear(chapter.scene, Math.min(ms - chapter.atMs, chapter.ms));
  }

  /** The scene from its beginning, which is read out first where it has not been. */
  go(scene) {
    if (this._voices.msOf(scene) > 0) this._voices.hear(scene, 0);
    else void this._voices.narrate(scene, false);
  }

  /** The chapter after what is heard (1), or its beginning or the one before (-1); where there is none, nothing happens. */
  step(by) {
    const heard = this._voices.heardScene;
    const list = this.list.filter(({ ms, scene }) => ms > 0 || scene === heard?.scene);
    const at = list.findIndex(({ scene }) => scene === heard?.scene);
    if (at < 0) return;
    const chapter = by < 0 && heard.ms > JUST_BEGUN_MS ? list[at] : list[at + by];
    if (chapter) this._voices.hear(chapter.scene, 0);
  }

  /** The scene to be heard after `scene`, or null. */
  after(scene) {
    const { list } = this;
    const at = list.findIndex((chapter) => chapter.scene === scene);
    return at < 0 ? null : (list.slice(at + 1).find(({ ms }) => ms > 0)?.scene ?? null);
  }

  /** `heard`, {session, turn}, has come to its end: the next chapter is heard. */
  ended(heard) {
    this._voices.goOn(heard);
  }
}
