/** The turns of a chat on the page, each with what can be done with it. */

import { answerIn, isOver, latestTurn, nameIn, orderWith, versionsOf } from "./story.js";
import { TurnActions } from "./turn-actions.js";
import { TurnView } from "./turn-view.js";
import { TurnViews } from "./turn-views.js";

/** Between two parts of an answer: the first ends with a sentence. */
const joined = (text, rest) => text + (/[\s\p{Script=Han}。！？”」]$/u.test(text) || /^\s/.test(rest) ? "" : " ") + rest;

/** An answer that was continued, as one turn: that of its question, with the state of its `latest` part. */
function whole(parts) {
  if (parts.length === 1) return parts[0];
  const { id, place, kind, prompt } = parts[0];
  const audioMs = parts.reduce((sum, part) => sum + part.audioMs, 0);
  return { ...parts.at(-1), id, place, kind, prompt, audioMs, text: parts.map(({ text }) => text).reduce(joined) };
}

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
      const { first, last } = answerIn(story, order, number);
      const parts = order.slice(first, last + 1).map((part) => turns[part]);
      const answer = whole(parts);
      const versions = folded ? [] : versionsOf(story, answer);
      view.actions.update(answer, { folded, counts, versions, idle, last: id === story.order.at(-1), latest: id });
      view.update(turns[id], folded, counts, { answer, parts, begins: number === first, ends: number === last });
      view.told({ asker: nameIn(story, turns[id].by), stopper: nameIn(story, turns[id].stoppedBy) });
    });
    if (left !== null) this._focus(order.find((id) => turns[id].place === turns[turns[left].first].place));
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
    const order = orderWith(this._drawn[0], this._chosen);
    const { last } = answerIn(this._drawn[0], order, order.indexOf(turn));
    this._views.get(order[last]).actions.versions.focus(step);
  }

  _viewOf(turn) {
    const onUnfold = () => {
      this._views.unfold(turn.id);
      this._views.get(turn.id).show();
    };
    return new TurnView(turn, { ...this._handlers, onUnfold, actions: new TurnActions({ ...this._actions, onChoose: (...choice) => this._choose(...choice) }) });
  }
}
