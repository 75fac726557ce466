/** All scenes on the page; keeps the old ones folded and the place being heard in sight. */

import { byId } from "../dom.js";
import { Follow } from "../follow.js";
import { SceneView } from "./scene-view.js";

const UNFOLDED = 8; // the latest scenes; older ones are a line each until somebody wants them

export class ScenesView {
  constructor(handlers) {
    this._root = byId("story");
    this._handlers = { ...handlers, onUnfold: (turn) => this._unfold(turn) };
    this._views = new Map();
    this._wanted = new Set(); // old scenes that were unfolded by hand
    this._lit = null;
    this._follow = new Follow();
  }

  /** `voice` is what `Voices.update` answers. */
  update(story, voice) {
    story.order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._add(story.turns[id], number + 1);
      const old = number < story.order.length - UNFOLDED;
      const folded = old && !this._wanted.has(id) && voice.scene !== id;
      const heardMs = voice.scene === id ? voice.heard.ms : null;
      const paused = heardMs !== null && voice.paused;
      view.update(story.turns[id], { ...voice.about(id), heardMs, paused, folded });
    });
    const lit = this._views.get(voice.scene) ?? null;
    if (this._lit !== lit) this._lit?.light(null);
    this._lit = lit;
    const spoken = lit?.light(voice.heard.ms) ?? null;
    this._follow.to(spoken ?? lit?.element ?? null, this._views.get(story.order.at(-1))?.prose ?? null);
  }

  _unfold(turn) {
    this._wanted.add(turn);
    this._handlers.onChange();
  }

  _add(scene, number) {
    const view = new SceneView(scene, number, this._handlers);
    this._views.set(scene.id, view);
    this._root.append(view.element);
    this._follow.resume();
    return view;
  }
}
