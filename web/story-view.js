/** All turns on the page; keeps the old ones folded and the place being heard in sight. */

import { byId } from "./dom.js";
import { Follow } from "./follow.js";
import { nameIn } from "./story.js";
import { TurnActions } from "./turn-actions.js";
import { TurnView } from "./turn-view.js";

const UNFOLDED = 8; // the latest turns; older ones are a line each until somebody wants them

export class StoryView {
  constructor({ onReplay, onAsk, onFork, onProblem, link }) {
    this._root = byId("story");
    this._handlers = { onReplay, link };
    this._actions = { onAsk, onFork, onProblem };
    this._views = new Map();
    this._wanted = new Set(); // old turns that were unfolded by hand
    this._lit = null;
    this._follow = new Follow();
  }

  /** `heard` is {turn, ms} or null; `coming`: the element of the next question while it is being said, or null. */
  update(story, heard, coming = null) {
    this._drop(story);
    story.order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._add(story.turns[id]);
      const recent = number >= story.order.length - UNFOLDED;
      const folded = !recent && !this._wanted.has(id) && heard?.turn !== id;
      view.actions.update(story.turns[id], { folded, last: number === story.order.length - 1 });
      view.update(story.turns[id], folded);
      const { by, stoppedBy } = story.turns[id];
      view.told({ asker: nameIn(story, by), stopper: nameIn(story, stoppedBy) });
    });
    const lit = heard ? (this._views.get(heard.turn) ?? null) : null;
    if (this._lit !== lit) this._lit?.light(null);
    this._lit = lit;
    const spoken = lit?.light(heard.ms) ?? null;
    this._follow.to(spoken ?? lit?.element ?? null, coming ?? this._views.get(story.order.at(-1))?.prose ?? null);
  }

  /** Turns that another one has taken the place of. */
  _drop(story) {
    for (const [id, view] of this._views) {
      if (story.order.includes(id)) continue;
      view.element.remove();
      this._views.delete(id);
    }
  }

  _add(turn) {
    const onUnfold = () => {
      this._wanted.add(turn.id);
      this._views.get(turn.id).show();
    };
    const actions = new TurnActions(this._actions);
    const view = new TurnView(turn, { ...this._handlers, onUnfold, actions });
    this._views.set(turn.id, view);
    this._root.append(view.element);
    this._follow.resume();
    return view;
  }
}
