/** Decides what this tab lets one hear: which turn, from where, and what comes after it. */

import { Ledger } from "./client/playback/heard.js";
import { isOver } from "./story.js";
import { liveMoment, readAfter } from "./timeline.js";

const STALE_MS = 10 * 60_000; // a tab that comes back later than this does not begin to speak by itself
const SAVE_EVERY_MS = 200;
const NOTICEABLE_MS = 150; // behind the others in the same room

/** After these no more of a turn is heard, however much of it is here: also when it was complete long ago. */
const ENDS = new Set(["turn.stop_requested", "turn.stopped", "playback.flushed"]);

const NOBODY_ASKS = { progress() {}, last() {} };

/**
 * `player` plays; `place` remembers ({read(), write(value)}); `nowMs()` is the server's wall clock;
 * `acks`: the server is told how much was heard; `chapters` are those of a story (see stories/chapters.js).
 * The sound comes from `session`, or in a replay from another one: `source` says from which.
 */
export class Narration {
  constructor({ player, place, session, nowMs, voice, acks = false, chapters = null }) {
    this.voice = voice;
    this.chapters = chapters;
    this.replaying = false;
    this.source = session;
    this._player = player;
    this._place = place;
    this._session = session;
    this._nowMs = nowMs;
    this._ledger = acks ? new Ledger({ tell: (message) => session.tell(message) }) : NOBODY_ASKS;
    this._queue = []; // turns to be heard after this one
    this._joined = false; // this turn was begun at the live moment, not at a place of our own
    this._savedAt = 0;
  }

  get turn() {
    return this._player.turn;
  }

  /** The session whose turns are heard one after another. */
  get session() {
    return this._session;
  }

  /** The turns that are to be heard after this one. */
  get queue() {
    return [...this._queue];
  }

  /**
   * The past is known: go on where this tab was, or else join those who have listened all along.
   * A listener that has missed nothing after the turn `after` joins nobody (0: it was there from the start).
   */
  start(after = null) {
    const place = this._place.read();
    const story = this._session.story;
    if (!this.voice) return;
    const fresh = place && story.turns[place.turn] && Date.now() - place.at < STALE_MS;
    if (after !== null) {
      this._enqueueAfter(after);
      this._next();
    } else if (!fresh) {
      this.join();
    } else if (place.done || story.turns[place.turn].flushedAt !== null) {
      this.join(place.turn);
    } else {
      this._enqueueAfter(place.turn);
      this._begin(place.turn, place.ms);
    }
  }

  /** Hear what a patient listener hears now, if that lies after the turn `after`. */
  join(after = 0) {
    const moment = liveMoment(this._session.story, this._nowMs());
    if (!moment || moment.turn <= after || !this.voice) return;
    this._enqueueAfter(moment.turn);
    this._begin(moment.turn, moment.ms);
    this._joined = moment.ms > 0;
  }

  /** A fact that has just happened. */
  onFact({ type, seq, turn, data }) {
    if (type === "turn.requested") this._requested(seq, data);
    else if (ENDS.has(type)) this._stopped(turn);
    else if (this.replaying)
      return; // commands to the live narration are not about a replay
    else if (type === "sentence.skip_requested" && turn === this.turn) this._player.skip(data.sentence);
    else if (type === "playback.paused") this._player.pause();
    else if (type === "playback.resumed") this._player.resume();
  }

  /** For oneself alone: the turn from `ms` on, of this session or of another one. */
  replay(turn, { ms = 0, of = this._session } = {}) {
    this._begin(turn, ms, true, of);
  }

  /** Leave this turn; the one that waits behind it begins. Other listeners go on hearing it. */
  stop() {
    this._save(true);
    this._tellLast(this._player.heardMs);
    this._player.stop();
    this.replaying = false;
    this._next();
  }

  /** Silence: nothing that waits is heard either. */
  silence() {
    this._queue = [];
    this.stop();
  }

  setVoice(on) {
    this.voice = on;
    this._queue = [];
    if (on) this.join();
    else this.stop();
  }

  progressed() {
    if (this._isLive) this._ledger.progress(this.turn, this._player.heardMs, this._player.sounding);
    if (this._joined && this._player.sounding) this._catchUp();
    if (Date.now() - this._savedAt > SAVE_EVERY_MS) this.save();
  }

  ended(turn, ms) {
    if (!this.replaying) this._ledger.last(turn, ms, this._player.underrunsOfTurn);
    if (this.source === this._session) this._write({ turn, ms: 0, done: true });
    const rest = this.replaying ? this._restOf(turn) : undefined;
    this.replaying = false;
    if (rest === undefined) this._next();
    else this._begin(rest, 0, true, this.source);
  }

  /** The turn that goes on with the answer of this one, if there is sound of it. */
  _restOf(turn) {
    const { turns, order } = this.source.story;
    const next = turns[order[order.indexOf(turn) + 1]];
    return next?.first === turns[turn].first && next.audioMs > 0 ? next.id : undefined;
  }

  save() {
    if (this.turn !== null) this._save(false);
  }

  /** Time went by until there was sound (or until the browser was allowed to make some): make up for it. */
  _catchUp() {
    this._joined = false;
    const moment = liveMoment(this._session.story, this._nowMs());
    if (moment && moment.turn !== this.turn) this.join();
    else if (moment && moment.ms - this._player.positionMs > NOTICEABLE_MS) this._player.seek(moment.ms);
  }

  /** This tab hears what everybody in this session hears. */
  get _isLive() {
    return this.turn !== null && !this.replaying;
  }

  _tellLast(ms) {
    if (this._isLive) this._ledger.last(this.turn, ms, this._player.underrunsOfTurn);
  }

  _save(done) {
    if (this.turn === null || this.replaying) return;
    this._write({ turn: this.turn, ms: Math.round(this._player.positionMs), done });
  }

  _write(place) {
    this._savedAt = Date.now();
    this._place.write({ ...place, at: this._savedAt });
  }

  _requested(turn, data) {
    if (data.merges) this._stopped(data.merges);
    if (!this.voice || data.settings?.speak === false) return;
    if (!this.replaying) this._player.resume();
    this._queue.push(turn);
    if (this.turn === null) this._next();
  }

  _stopped(turn) {
    this._queue = this._queue.filter((waiting) => waiting !== turn);
    if (turn === this.turn && !this.replaying) this.stop();
  }

  _next() {
    const turn = this._queue.shift();
    if (turn !== undefined) this._begin(turn, 0);
  }

  _enqueueAfter(turn) {
    if (!this.voice) return;
    const { order, turns } = this._session.story;
    const silent = ({ speak, status, flushedAt }) => !speak || status === "stopped" || flushedAt !== null;
    const hearable = (id) => id > turn && !silent(turns[id]);
    this._queue = order.toSorted((one, other) => one - other).filter((id) => hearable(id) && (turns[id].audioMs > 0 || !isOver(turns[id])));
  }

  /** A replay leaves nothing out, and takes no notice of a pause of the others. */
  _begin(turn, ms, replaying = false, source = this._session) {
    const { story } = source;
    this._tellLast(this._player.heardMs);
    this.replaying = replaying;
    this.source = source;
    this._joined = false;
    const cursor = source.cursorAt(readAfter(story.turns[turn], ms));
    this._player.play({ turn, fromMs: ms, url: source.url, cursor });
    if (replaying) return;
    story.turns[turn].sentences.forEach((sentence, number) => sentence.skipped && this._player.skip(number));
    if (story.pausedAt !== null) this._player.pause();
  }
}
