/** Facts to what happened when. Knows no browser; all times are milliseconds of the server's wall clock. */

import { heardInWords, SAID_IN_SESSION, SAID_OF_TURN, stopInWords } from "./voice-words.js";
import { refusalOf } from "../refusals.js";
import { t } from "../strings.js";

const TERMINAL = { "turn.completed": "completed", "turn.stopped": "stopped", "turn.failed": "failed" };

const newTurn = ({ seq, ts, data }) => ({
  id: seq,
  kind: data.kind,
  prompt: data.text,
  speak: data.settings?.speak !== false,
  requestedAt: ts,
  startedAt: null,
  firstTextAt: null,
  textDoneAt: null,
  firstSoundAt: null,
  endAt: null,
  status: "running",
  flushedAt: null,
  heardMs: 0, // so much came out of somebody's loudspeaker, as far as they said so
  heardAt: null,
  audioMs: 0,
  sentences: [],
  takeovers: [],
  version: 0, // counts its facts
  notes: [], // {at, what}: wishes and mishaps
});

const note =
  (inWords) =>
  (turn, { ts, data }) =>
    turn.notes.push({ at: ts, what: inWords(data) });
const notSpoken = note(({ sentence, ...data }) => t("Sentence {number} was not spoken: {reason}", { number: sentence + 1, reason: refusalOf(data) }));

const ON_TURN = {
  "turn.started": (turn, { ts }) => (turn.startedAt ??= ts),
  "turn.resumed": (turn, { ts, data }) => turn.takeovers.push({ at: ts, node: data.node || t("another owner") }),
  "text.delta": (turn, { ts }) => (turn.firstTextAt ??= ts),
  "text.completed": (turn, { ts }) => (turn.textDoneAt = ts),
  "sentence.ready": (turn, { ts, data }) => (sentenceOf(turn, data).readyAt = ts),
  "sentence.voiced": (turn, { ts, data }) => Object.assign(sentenceOf(turn, data), { voicedAt: ts, ms: 0 }),
  "audio.chunk": (turn, { ts, data }) => {
    turn.firstSoundAt ??= ts;
    turn.audioMs = data.at_ms + data.ms;
    const sentence = sentenceOf(turn, data);
    sentence.firstSoundAt ??= ts;
    sentence.ms += data.ms;
  },
  "sentence.completed": (turn, { ts, data }) => Object.assign(sentenceOf(turn, data), { doneAt: ts, ms: data.ms }),
  "sentence.failed": (turn, { ts, data }) => {
    sentenceOf(turn, data).doneAt = ts;
    notSpoken(turn, { ts, data });
  },
  "sentence.skipped": (turn, { ts, data }) => (sentenceOf(turn, data).doneAt = ts),
  "sentence.skip_requested": note(({ sentence }) => t("Skip of sentence {number} requested", { number: sentence + 1 })),
  "turn.stop_requested": note(stopInWords),
  "playback.flushed": (turn, fact) => {
    turn.flushedAt ??= fact.ts;
    note(SAID_OF_TURN[fact.type])(turn, fact);
  },
  "playback.heard": (turn, { ts, data }) => {
    if (data.heard_ms > turn.heardMs) Object.assign(turn, { heardMs: data.heard_ms, heardAt: ts });
  },
  "narration.requested": note(({ by }) =>
    by === "auto" ? t("Reading aloud requested by the settings") : t("Reading aloud requested by the user"),
  ),
  "narration.ready": note(() => t("It was read out")),
  "narration.failed": note((data) => t("Reading aloud failed: {reason}", { reason: refusalOf(data) })),
};

/** Words for the events of the session itself. */
const OF_SESSION = {
  "session.started": () => t("Begun"),
  "settings.changed": () => t("Settings changed"),
  "preferences.changed": () => t("Settings of narration changed"),
  "notification.raised": ({ kind }) =>
    kind === "tts_ready" ? t("Notification: a scene was read out") : t("Notification: a scene could not be read out"),
  "notifications.delivered": () => t("Notification delivered"),
  "share.created": ({ label }) => (label ? t("Shared with {name}", { name: label }) : t("Shared")),
  "share.revoked": () => t("A link was revoked"),
  "owner.changed": ({ node }) => t("Moved to {node}", { node }),
  "session.end_requested": () => t("End requested"),
  "session.ended": ({ reason }) => t("Ended: {reason}", { reason }),
  ...SAID_IN_SESSION,
};

function sentenceOf(turn, { sentence: number }) {
  turn.sentences[number] ??= { number, readyAt: null, voicedAt: null, firstSoundAt: null, doneAt: null, ms: 0 };
  return turn.sentences[number];
}

export class Chronicle {
  constructor() {
    this.startedAt = null;
    this.latestAt = null;
    this.turns = [];
    this.pauses = []; // {from, to, dropped}; `to` is null while it lasts; `dropped`: the answer was stopped by who spoke over it
    this.owners = []; // {at, node}
    this.moments = []; // {at, what} of the session itself
    this.version = 0;
    this._byId = new Map();
  }

  take(fact) {
    this.version += 1;
    this.startedAt ??= fact.ts;
    this.latestAt = fact.ts;
    if (fact.type === "turn.requested") this._asked(fact);
    else if (fact.type === "playback.paused") this._pause(fact.ts);
    else if (fact.type === "playback.resumed") this._resume(fact.ts);
    else if (fact.type === "playback.flushed") this._drop(fact.data);
    else if (fact.type === "owner.changed") this.owners.push({ at: fact.ts, node: fact.data.node });
    if (fact.type in OF_SESSION && !this._goesNowhere(fact)) this.moments.push({ at: fact.ts, what: OF_SESSION[fact.type](fact.data) });
    const turn = this._byId.get(fact.turn);
    if (!turn) return;
    turn.version += 1;
    ON_TURN[fact.type]?.(turn, fact);
    if (fact.type in TERMINAL) this._over(turn, fact);
  }

  _asked(fact) {
    this._resume(fact.ts); // a question ends a pause: its answer is to be heard
    const turn = newTurn(fact);
    this.turns.push(turn);
    this._byId.set(turn.id, turn);
  }

  _over(turn, { type, ts, data }) {
    turn.endAt = ts;
    turn.status = TERMINAL[type];
    if (type === "turn.failed") turn.notes.push({ at: ts, what: t("Failed: {reason}", { reason: refusalOf(data) }) });
  }

  _pause(at) {
    if (this.pauses.at(-1)?.to !== null || this.pauses.length === 0) this.pauses.push({ from: at, to: null, dropped: false });
  }

  /** An answer that was held, and then stopped by the speech over it, does not go on when its pause is over. */
  _drop({ reason }) {
    const last = this.pauses.at(-1);
    if (last && last.to === null) last.dropped = reason === "barge_in";
  }

  _goesNowhere({ type }) {
    return type === "playback.resumed" && Boolean(this.pauses.at(-1)?.dropped);
  }

  _resume(at) {
    const last = this.pauses.at(-1);
    if (last && last.to === null) last.to = at;
  }
}

/** `from` and `to` of a sound of `ms` that begins at `at`, if nothing sounds during the pauses. */
export function throughPauses(at, ms, pauses) {
  let from = at;
  let to = null;
  for (const pause of pauses) {
    const end = pause.to ?? Infinity;
    if (pause.from <= from && end > from) from = end;
    to ??= from + ms;
    if (pause.from <= from) to = from + ms;
    else if (pause.from < to) to += end - pause.from;
  }
  return { from, to: to ?? from + ms };
}

/** When a patient listener hears each sentence: {number, from, to}. Turns are heard one after another. */
export function heardSpans(chronicle) {
  let free = -Infinity;
  return new Map(
    chronicle.turns.map((turn) => {
      const spans = [];
      for (const sentence of turn.sentences) {
        if (!sentence?.firstSoundAt || !sentence.ms) continue;
        const begin = Math.max(free, sentence.firstSoundAt);
        const span = throughPauses(begin, sentence.ms, chronicle.pauses);
        const stopped = turn.status === "stopped" ? turn.endAt : Infinity;
        const to = Math.min(span.to, stopped, turn.flushedAt ?? Infinity);
        if (!(to > span.from) || !Number.isFinite(to)) continue;
        spans.push({ number: sentence.number, from: span.from, to });
        free = to;
      }
      return [turn.id, spans];
    }),
  );
}

/** The turn's moments in order: {at, what}. */
export function moments(turn, chronicle, spans = []) {
  const until = Math.max(turn.endAt ?? chronicle.latestAt, spans.at(-1)?.to ?? 0);
  const within = ({ at }) => at >= turn.requestedAt && at <= until;
  const paused = chronicle.pauses.flatMap(({ from, to, dropped }) => [
    { at: from, what: t("Paused") },
    ...(to && !dropped ? [{ at: to, what: t("Resumed") }] : []),
  ]);
  const owners = chronicle.owners.map(({ at, node }) => ({ at, what: t("Moved to {node}", { node }) }));
  const own = [
    { at: turn.requestedAt, what: t("Asked") },
    { at: turn.startedAt, what: t("Started") },
    { at: turn.firstTextAt, what: t("First words") },
    { at: turn.textDoneAt, what: t("Last words") },
    { at: turn.firstSoundAt, what: t("First sound") },
    ...turn.takeovers.map(({ at, node }) => ({ at, what: t("Taken over by {node}", { node }) })),
    ...turn.notes,
    { at: turn.heardAt, what: heardInWords(turn.heardMs) },
    { at: turn.endAt, what: { completed: t("Complete"), stopped: t("Stopped"), failed: t("Failed") }[turn.status] },
    { at: turn.flushedAt === null ? (spans.at(-1)?.to ?? null) : null, what: t("Heard to the end") },
  ];
  return [...own.filter(({ at }) => at !== null), ...[...paused, ...owners].filter(within)].sort(
    (one, other) => one.at - other.at,
  );
}

/** The delays that one feels, in ms; those that are not known are left out. */
export function latencies(turn) {
  const after = (at) => (at === null ? null : at - turn.requestedAt);
  const all = {
    [t("first words")]: after(turn.firstTextAt),
    [t("first sound")]: after(turn.firstSoundAt),
    [t("last words")]: after(turn.textDoneAt),
    [t("total")]: after(turn.endAt),
  };
  return Object.entries(all).filter(([, ms]) => ms !== null);
}
