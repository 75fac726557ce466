/** The scenes of a story on the page. */

import { byId } from "../dom.js";
import { TurnViews } from "../turn-views.js";
import { SceneView } from "./scene-view.js";

const FOCUSED = ".scene:focus-within";

export class ScenesView {
  constructor(handlers) {
    this._handlers = { ...handlers, onUnfold: (turn) => this._unfold(turn) };
    this._views = new TurnViews();
  }

  /** `voice` is what `Voices.update` answers; `written`: the scene that is being written, or undefined. */
  update({ order, turns }, voice, written) {
    const held = document.querySelector(FOCUSED)?.id;
    this._views.keep(order);
    order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._added(turns[id], number);
      const folded = this._views.isFolded(order, number, voice.scene);
      view.update(turns[id], { ...voice.about(id), folded });
    });
    if (held && !document.querySelector(FOCUSED)) byId(held)?.focus({ preventScroll: true }); // another one stands there now
    const growing = this._views.get(written)?.prose ?? null;
    this._views.light(voice.heard && { turn: voice.scene, ms: voice.heard.ms }, order, growing);
  }

  _added(scene, number) {
    if (scene.replaces !== null) this._views.unfold(scene.id);
    return this._views.add(scene.id, new SceneView(scene, number + 1, this._handlers), number);
  }

  _unfold(turn) {
    this._views.unfold(turn);
    this._handlers.onChange();
  }
}
