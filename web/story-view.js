/** The turns of a chat on the page, each with what can be done with it. */

import { nameIn } from "./story.js";
import { TurnActions } from "./turn-actions.js";
import { TurnView } from "./turn-view.js";
import { TurnViews } from "./turn-views.js";

export class StoryView {
  constructor({ onReplay, onAsk, onFork, onProblem, link }) {
    this._handlers = { onReplay, link };
    this._actions = { onAsk, onFork, onProblem };
    this._views = new TurnViews();
  }

  /** `heard` is {turn, ms} or null; `coming`: the element of the next question while it is being said, or null. */
  update(story, heard, coming = null) {
    const { order, turns } = story;
    this._views.keep(order);
    order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._views.add(id, this._viewOf(turns[id]));
      const folded = this._views.isFolded(order, number, heard?.turn);
      view.actions.update(turns[id], { folded, last: id === order.at(-1) });
      view.update(turns[id], folded);
      view.told({ asker: nameIn(story, turns[id].by), stopper: nameIn(story, turns[id].stoppedBy) });
    });
    this._views.light(heard, order, coming);
  }

  _viewOf(turn) {
    const onUnfold = () => {
      this._views.unfold(turn.id);
      this._views.get(turn.id).show();
    };
    return new TurnView(turn, { ...this._handlers, onUnfold, actions: new TurnActions(this._actions) });
  }
}
