/** Everything about being heard: the player, what it plays, and the buttons that reach into it. */

import { bestCodec } from "./decoder.js";
import { Ledger } from "./heard.js";
import { Narration } from "./narration.js";
import { Player } from "./player.js";
import { placeIn, preferences } from "./storage.js";
import { isOver, runningTurn } from "./story.js";
import { previousBeginning, sentenceAt } from "./timeline.js";

/**
 * `control(action, about)` tells the server; `onChange()` whenever there may be something new to draw;
 * `onTrouble(text)` for what the listener should know; `tell(message)` says to the server what was heard, and
 * returns whether it could.
 */
export class Hearing {
  constructor({ control, onChange, onTrouble, tell = null }) {
    this.preferences = { voice: true, volume: 1, ...preferences().read() };
    this._able = typeof AudioWorkletNode !== "undefined"; // only in secure contexts
    this._control = control;
    this._onChange = onChange;
    this._onTrouble = onTrouble;
    this._ledger = tell ? new Ledger({ tell }) : undefined;
    this._player = null;
    this._narration = null;
    this._session = null;
    this._skewMs = 0;
  }

  /** False if this browser will not let us make sound at all. */
  async open() {
    if (!this._able) return false;
    this._player = await Player.open({
      codec: await bestCodec(),
      onProgress: () => {
        this._narration?.progressed();
        this._onChange();
      },
      onEnded: (turn, ms) => {
        this._narration?.ended(turn, ms);
        this._onChange();
      },
      onState: () => this._onChange(),
      onError: () => this._onTrouble("A part of the sound could not be played."),
    });
    this._player.graph.setVolume(this.preferences.volume);
    this._begin();
    return true;
  }

  /**
   * The session's past is known; `skewMs`: how far its server's clock is ahead of ours.
   * `silent`: nothing is heard but what is asked for.
   */
  attach(session, { skewMs, fromTheStart = false, silent = false }) {
    this._session = session;
    this._skewMs = skewMs;
    this._fromTheStart = fromTheStart;
    this._silent = silent;
    this._begin();
  }

  /** Begin as soon as both the past and the loudspeaker are there. */
  _begin() {
    if (!this._player || !this._session) return;
    this._narration = new Narration({
      player: this._player,
      place: placeIn(this._session.id),
      session: this._session,
      nowMs: () => Date.now() + this._skewMs,
      voice: this.preferences.voice,
      ledger: this._ledger,
    });
    if (!this._silent) this._narration.start(this._fromTheStart);
    this._onChange();
  }

  /** Something can be played at once. */
  get ready() {
    return this._narration !== null;
  }

  /** What is heard is heard for oneself alone. */
  get replaying() {
    return this._narration?.replaying ?? false;
  }

  get wantsVoice() {
    return this.preferences.voice && this._able;
  }

  /** What comes out of the loudspeaker now: {session, turn, ms}, or null. */
  get heard() {
    if (!this._player || this._player.turn === null) return null;
    const session = this._narration.source.id;
    return {
      session,
      turn: this._player.turn,
      ms: this._player.placeMs,
    };
  }

  get paused() {
    return this._player?.paused ?? false;
  }

  /** Sound has begun and has run out, although more of it is to come. */
  get buffering() {
    return this._player?.buffering ?? false;
  }

  /** The browser waits for a touch before it lets us be heard. */
  get locked() {
    return this._player !== null && this._player.graph.state !== "running";
  }

  /** To be called from a click or a key press. */
  unlock() {
    void this._player?.graph.resume();
  }

  onFact(fact) {
    this._narration?.onFact(fact);
  }

  save() {
    this._narration?.save();
  }

  /** `ms` to begin at, and `of` which session, if it is another one. */
  replay(turn, where) {
    this._narration?.replay(turn, where);
    this._onChange();
  }

  /** To the beginning of the sentence, or of the one before; from there on one listens for oneself. */
  back() {
    const turn = this._heardTurn();
    if (!turn) return;
    const ms = previousBeginning(turn, this._player.positionMs);
    this.replay(turn.id, { ms, of: this._narration.source });
  }

  togglePause() {
    if (!this.heard) return;
    const pausing = !this.paused;
    if (pausing) this._player.pause();
    else this._player.resume();
    if (!this._narration.replaying) this._control(pausing ? "pause" : "resume");
    this._onChange();
  }

  skip() {
    const turn = this._heardTurn();
    const sentence = turn ? sentenceAt(turn, this._player.positionMs) : -1;
    if (sentence < 0) return;
    this._player.skip(sentence);
    if (!this._narration.replaying && !isOver(turn)) this._control("skip", { turn: turn.id, sentence });
  }

  /**
   * End what is heard, for everybody, be it written to its end or not; while nothing is heard, end what is
   * being written.
   */
  stop(story) {
    const target = this._heardTurn() ?? runningTurn(story);
    if (!target) return;
    const shared = !this._narration?.replaying && story.ended === null;
    this._narration?.stop();
    if (shared) this._control("stop", { turn: target.id });
    this._onChange();
  }

  /** Fall silent; what others hear is not touched. */
  stopReplay() {
    if (this.heard) this._narration.stop();
    this._onChange();
  }

  setVoice(voice) {
    this._prefer({ voice });
    this._narration?.setVoice(voice);
    this._onChange();
  }

  setVolume(volume) {
    this._prefer({ volume });
    this._player?.graph.setVolume(volume);
    this._onChange();
  }

  stats() {
    const player = this._player;
    if (!player) return { contextState: "none", rms: 0, turn: null, positionMs: 0, samplesPlayed: 0, underruns: 0 };
    const { codec, turn, paused, positionMs, samplesPlayed, underruns, graph } = player;
    return { contextState: graph.state, rms: graph.rms(), codec, turn, paused, positionMs, samplesPlayed, underruns };
  }

  _heardTurn() {
    return this._narration?.source.story.turns[this._player?.turn];
  }

  _prefer(choice) {
    this.preferences = { ...this.preferences, ...choice };
    preferences().write(this.preferences);
  }
}
