/** The turns of a chat on the page, each with what can be done with it. */

import { isOver, latestTurn, nameIn, orderWith, versionsOf } from "./story.js";
import { TurnActions } from "./turn-actions.js";
import { TurnView } from "./turn-view.js";
import { TurnViews } from "./turn-views.js";

export class StoryView {
  constructor({ onReplay, onAsk, onFork, onProblem, link }) {
    this._handlers = { onReplay, link };
    this._actions = { onAsk, onFork, onProblem };
    this._views = new TurnViews();
    this._chosen = new Map(); // versions that are looked at, by their places
    this._newest = null;
    this._drawn = null;
  }

  /** `heard` is {turn, ms} or null; `coming`: the element of the next question while it is being said, or null. */
  update(story, heard, coming = null) {
    this._drawn = [story, heard, coming];
    const newest = latestTurn(story)?.id;
    if (newest !== this._newest) this._chosen.clear(); // the conversation goes on with what counts
    this._newest = newest;
    const { turns } = story;
    const order = orderWith(story, this._chosen);
    const counting = new Set(story.order);
    const idle = story.order.every((id) => isOver(turns[id]));
    const left = this._views.keep(order);
    order.forEach((id, number) => {
      const view = this._views.get(id) ?? this._views.add(id, this._viewOf(turns[id]), number);
      const folded = this._views.isFolded(order, number, heard?.turn);
      const counts = counting.has(id);
      const versions = folded ? [] : versionsOf(story, turns[id]);
      view.actions.update(turns[id], { folded, counts, versions, idle, last: id === story.order.at(-1) });
      view.update(turns[id], folded, counts);
      view.told({ asker: nameIn(story, turns[id].by), stopper: nameIn(story, turns[id].stoppedBy) });
    });
    if (left !== null) this._focus(order.find((id) => turns[id].place === turns[left].place));
    this._views.light(heard, order, coming);
  }

  /** The keyboard goes on where another version has taken the place of what had the focus. */
  _focus(turn) {
    const element = this._views.get(turn)?.element;
    element?.setAttribute("tabindex", "-1");
    element?.focus({ preventScroll: true });
  }

  _choose(turn, step) {
    const [{ turns }] = this._drawn;
    this._chosen.set(turns[turn].place, turn);
    this.update(...this._drawn);
    this._views.get(turn).actions.versions.focus(step);
  }

  _viewOf(turn) {
    const onUnfold = () => {
      this._views.unfold(turn.id);
      this._views.get(turn.id).show();
    };
    return new TurnView(turn, { ...this._handlers, onUnfold, actions: new TurnActions({ ...this._actions, onChoose: (...choice) => this._choose(...choice) }) });
  }
}
