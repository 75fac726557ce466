/** The page's one player: what it plays, whichever place is on show, and the buttons that reach into it. */

import { soon } from "./parts.js";
import { placeIn, preferences } from "./storage.js";
import { isOver, latestTurn } from "./story.js";
import { previousBeginning, sentenceAt } from "./timeline.js";
import { t } from "./strings.js";

const DRAWN_MS = 60; // as often progress is drawn, which is reported three times as often: each takes a layout and a paint
const STILL = { contextState: "none", rms: 0, turn: null, positionMs: 0, samplesPlayed: 0, underruns: 0 };

/**
 * `control(session, action, about)` tells the server; `onChange()` whenever there may be something new to draw;
 * `onOpen()` when sound can be made; `onTrouble(text)` for what the listener should know.
 *
 * A session that is heard stays heard when its place is left; the one on show is heard once that is over, or as
 * soon as somebody plays something of it or asks in it.
 */
export class Hearing {
  constructor({ control, onChange, onOpen, onTrouble }) {
    this.preferences = { voice: true, volume: 1, speed: 1, typing: "interrupt", ...preferences().read() };
    this.able = typeof AudioWorkletNode !== "undefined"; // only in secure contexts
    this._control = control;
    this._onChange = onChange;
    this._onOpen = onOpen;
    this._opening = null;
    this._onTrouble = onTrouble;
    this._player = null;
    this._narrate = null; // comes with the player
    this._drawnMs = 0;
    this._narration = null;
    this._stops = 0; // counts presses of Stop
    this._wish = null; // a replay that waits for the player
    this._shown = null; // the session on show, and how it is to be begun
    this._kept = null; // a session that is heard although its place was left
  }

  /** Not before there is something to hear, or the user does something: it holds up the page. */
  open() {
    if (!this.able) return;
    this._opening ??= this._open().catch((error) => {
      this._opening = null; // the next wish tries again
      if (error.name !== "AbortError") throw error; // Firefox: the page was left meanwhile
    });
  }

  async _open() {
    const { Narration, Player } = await soon();
    this._narrate = (wish) => new Narration(wish);
    this._player = await Player.open({
      onProgress: () => {
        this._narration?.progressed();
        if (performance.now() - this._drawnMs < DRAWN_MS) return;
        this._drawnMs = performance.now();
        this._onChange();
      },
      onEnded: (turn, ms) => {
        const session = this._narration?.source.id;
        this._narration?.ended(turn, ms);
        if (!this._engaged) this._narration?.chapters?.ended({ session, turn });
        this._settle();
      },
      onState: () => this._onChange(),
      onError: () => this._onTrouble(t("A part of the sound could not be played.")),
    });
    this._player.graph.setVolume(this.preferences.volume);
    this._player.setSpeed(this.preferences.speed);
    this._settle();
    this._wish?.();
    await this._onOpen();
  }

  /**
   * The past of the session on show is known; `skewMs`: how far its server's clock is ahead of ours; `after`: the
   * turn after which nothing was missed here; `silent`: nothing is heard but what is asked for; `acks`: the
   * server is told how much was heard; `chapters`: of a story.
   */
  attach(session, { skewMs = 0, after = null, silent = false, acks = false, chapters = null }) {
    this._shown = { session, skewMs, after, silent, acks, chapters };
    if (this._narration?.session === session) this._narration.chapters = chapters;
    if (this._kept === session) this._kept = null;
    this.open();
    this._settle();
  }

  /** The place of this session is left. It is closed, now or when it is not heard any more. */
  leave(session) {
    if (this._shown?.session === session) this._shown = this._wish = null;
    if (this._isHeard(session)) {
      this._kept = session;
      session.listen({ onFact: (fact) => this.onFact(session, fact), onChange: this._onChange });
    } else {
      if (this._narration?.session === session) this._narration = null;
      session.close();
    }
  }

  /** The session of this id that is heard although its place was left, or null. */
  kept(id) {
    return this._kept?.id === id ? this._kept : null;
  }

  get _engaged() {
    return Boolean(this._narration && (this._narration.turn !== null || this._narration.queue.length));
  }

  _isHeard(session) {
    return this._engaged && this._narration.session === session;
  }

  /** The session on show is heard once nothing else is heard any more. */
  _settle() {
    if (!this._engaged) this._take();
    this._onChange();
  }

  _take(begin = true) {
    const shown = this._shown;
    if (!this._player || this._narration?.session === (shown?.session ?? this._kept)) return;
    this._narration?.silence();
    this._kept?.close();
    this._kept = null;
    this._narration = shown && this._narrationOf(shown);
    if (shown && begin && !shown.silent) this._narration.start(shown.after);
  }

  _narrationOf({ session, skewMs, acks, chapters }) {
    return this._narrate({
      player: this._player,
      place: placeIn(session.id),
      session,
      nowMs: () => Date.now() + skewMs,
      voice: this.preferences.voice,
      chapters,
      acks,
    });
  }

  /** Something can be played at once. */
  get ready() {
    return this._player !== null && (this._shown !== null || this._narration !== null);
  }

  /** This tab hears a replay, for itself alone. */
  get replaying() {
    return this._narration?.replaying ?? false;
  }

  get wantsVoice() {
    return this.preferences.voice && this.able;
  }

  /** The sound that comes out of the loudspeaker now: {session, turn, ms}, or null. `session`: the id of the sound's session. */
  get heard() {
    if (!this._narration || this._player.turn === null) return null;
    return { session: this._narration.source.id, turn: this._player.turn, ms: this._player.placeMs };
  }

  /** The turn that is heard, as far as it is known, or null. */
  get heardTurn() {
    return (this.heard && this._narration.source.story.turns[this._player.turn]) ?? null;
  }

  /** The session that is heard, or on whose behalf another one is; null while there is silence. */
  get session() {
    return this._engaged ? this._narration.session : null;
  }

  /** The chapters of the story that is heard, or else of the one on show; null where there is none. */
  get chapters() {
    return this._engaged ? this._narration.chapters : (this._shown?.chapters ?? null);
  }

  /** Number of turns that wait until the one that is heard is over. */
  get queued() {
    return this._narration?.queue.length ?? 0;
  }

  get paused() {
    return this._player?.paused ?? false;
  }

  /** Sound has begun and has run out, although more of it is to come. */
  get buffering() {
    return this._player?.buffering ?? false;
  }

  /** Loudness for the eye, from 0 to 1. */
  get level() {
    return this._player?.level ?? 0;
  }

  /** The browser waits for a touch before it lets us be heard. */
  get locked() {
    return this._player !== null && this._player.graph.state !== "running";
  }

  /** To be called from a click or a key press. */
  unlock() {
    this.open();
    void this._player?.graph.resume();
  }

  onFact(session, fact) {
    if (this._narration?.session !== session) return;
    this._narration.onFact(fact);
    this._settle();
  }

  save() {
    this._narration?.save();
  }

  /**
   * `ms` to begin at, and `of` which session, if it is another one. The sound of another place ends, unless it is
   * `by` the session that is heard.
   */
  replay(turn, { by = null, ...where } = {}) {
    this._wish = this._player ? null : () => this.replay(turn, { by, ...where });
    if (this._shown && this._narration?.session !== by) this._take(false);
    this._narration?.replay(turn, where);
    this._onChange();
  }

  /** To `ms` of what is heard; from there on one listens for oneself. */
  seek(ms) {
    const turn = this.heardTurn;
    if (!turn) return;
    const { paused } = this;
    this._narration.replay(turn.id, { ms: Math.max(0, Math.min(ms, turn.audioMs)), of: this._narration.source });
    if (paused) this._player.pause();
    this._onChange();
  }

  /** To the beginning of the sentence, or of the one before. */
  back() {
    if (this.heardTurn) this.seek(previousBeginning(this.heardTurn, this._player.positionMs));
  }

  togglePause() {
    if (!this.heard) return;
    const pausing = !this.paused;
    if (pausing) this._player.pause();
    else this._player.resume();
    if (!this.replaying) void this._control(this._narration.session, pausing ? "pause" : "resume");
    this._onChange();
  }

  skip() {
    const turn = this.heardTurn;
    const sentence = turn ? sentenceAt(turn, this._player.positionMs) : -1;
    if (sentence < 0) return;
    this._player.skip(sentence);
    if (!this.replaying && !isOver(turn)) {
      void this._control(this._narration.session, "skip", { turn: turn.id, sentence });
    }
  }

  /**
   * Silence, and nothing that waits: what is heard ends for everybody, be it written to its end or not, and so
   * does what is still being written here or waits for it. A replay for oneself alone ends only here.
   */
  stop() {
    this._stops += 1;
    return this._stop();
  }

  /**
   * `ask()` requests a turn and resolves, as this does, with {session, turn}. A stop before that is one of this turn too:
   * the page does not know it yet, so the stop follows it.
   */
  async asks(ask) {
    const stops = this._stops;
    const asked = await ask();
    if (this._stops !== stops) void this._control(asked.session, "stop", { turn: asked.turn });
    return asked;
  }

  async _stop() {
    this._wish = null;
    const targets = [...this._stoppable()];
    this._narration?.silence();
    this._settle();
    for (const [session, turn] of targets) await this._control(session, "stop", { turn });
  }

  /** Those that wait come first, so that none of them begins. */
  *_stoppable() {
    const { session, queue = [], turn } = this._narration ?? {};
    const sessions = new Set([session, this._shown?.session].filter((one) => one?.tell && one.story.ended === null));
    for (const one of sessions) {
      const { turns, order } = one.story;
      const heard = one === session && !this.replaying ? turn : null;
      const wanted = (id) => !isOver(turns[id]) || id === heard || (one === session && queue.includes(id));
      for (const id of order.filter(wanted).reverse()) yield [one, id];
    }
  }

  /** Fall silent; what others hear is not touched. */
  stopReplay() {
    if (this.heard) this._narration.stop();
    this._settle();
  }

  /** Before somebody asks: what is heard ends, unless questions are to wait until it is over. */
  makeRoom() {
    const elsewhere = this._engaged && this._narration.session !== this._shown?.session;
    if (elsewhere && this._shown) this._shown.after = latestTurn(this._shown.session.story)?.id ?? 0;
    if (this.preferences.typing === "queue") return;
    if (elsewhere) this._narration.silence();
    else void this._stop(); // it names its turns, so the question may come before it
    this._settle();
  }

  setVoice(voice) {
    this.prefer({ voice });
    this._narration?.setVoice(voice);
    this._settle();
  }

  setSpeed(speed) {
    this.prefer({ speed });
    this._player?.setSpeed(speed);
    this._onChange();
  }

  setVolume(volume) {
    this.prefer({ volume });
    this._player?.graph.setVolume(volume);
    this._onChange();
  }

  /** The loudspeaker by its id, "" is the system's choice. */
  async setOutput(id) {
    await this._player?.graph.setOutput(id);
  }

  /** Of `preferences`, in all tabs. */
  prefer(choice) {
    this.preferences = { ...this.preferences, ...choice };
    preferences().write(this.preferences);
  }

  stats() {
    const player = this._player;
    if (!player) return STILL;
    const { codec, turn, paused, positionMs, samplesPlayed, underruns, graph } = player;
    const heard = { contextState: graph.state, rms: graph.rms(), session: this.heard?.session ?? null };
    return { ...heard, codec, turn, paused, positionMs, samplesPlayed, underruns };
  }
}
