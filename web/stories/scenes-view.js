/** The scenes of a story on the page. */

import { TurnViews } from "../turn-views.js";
import { SceneView } from "./scene-view.js";

export class ScenesView {
  constructor(handlers) {
    this._handlers = { ...handlers, onUnfold: (turn) => this._unfold(turn) };
    this._views = new TurnViews();
  }

  /** `voice` is what `Voices.update` answers. */
  update({ order, turns }, voice) {
    order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._views.add(id, new SceneView(turns[id], number + 1, this._handlers));
      const folded = this._views.isFolded(order, number, voice.scene);
      view.update(turns[id], { ...voice.about(id), folded });
    });
    this._views.light(voice.heard && { turn: voice.scene, ms: voice.heard.ms }, order);
  }

  _unfold(turn) {
    this._views.unfold(turn);
    this._handlers.onChange();
  }
}
