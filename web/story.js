/** Facts to what there is to see: a pure reducer. States are never changed, only replaced. */

import { comparisonsOf, emptySpeech, ON_SPEECH, spokenIn } from "./speech.js";
import { beginning, unmarked } from "./strings.js";
import { codePoints, unitAt, widePositions } from "./text.js";

const LOG_LENGTH = 200;

export const STATUS_OF = { "turn.completed": "completed", "turn.stopped": "stopped", "turn.failed": "failed" };
const LOST = new Set(["stopped", "failed"]);

export function emptyStory() {
  return {
    lastSeq: 0,
    kind: "session",
    title: "",
    owner: "", // by name, where the server asks for keys and the session had no other owner
    members: [], // names of those who may ask beside the owner
    settings: null,
    ended: null,
    turns: {},
    order: [], // of each place the version that counts
    versions: {}, // all turns of a place, by it, where they are several
    log: [],
    pausedAt: null, // wall clock of the pause that lasts, in ms
    pausedBy: null, // "voice": it is held because somebody speaks
    pausedMs: 0, // length of all pauses that are over
    speech: emptySpeech(),
  };
}

/** When what happened, on the server's clock: from the end of what was said, or from the question. */
function timesOf({ log }, { ts, data }) {
  const isOfIt = ({ input, utterance }) => input === data.input && data.utterances?.includes(utterance);
  const spoken = (type) => log.findLast((fact) => fact.type === type && isOfIt(fact.data));
  const told = (type) => (data.input ? (spoken(type)?.ts ?? null) : null);
  const speech = { speechEnd: told("speech.ended"), transcript: told("transcript.final") };
  return { ...speech, asked: ts, firstToken: null, firstAudio: null, heard: null };
}

/** The moment `name` was at `ts`, unless it has been. */
function reached(turn, name, ts) {
  return turn.times[name] === null ? { ...turn, times: { ...turn.times, [name]: ts } } : turn;
}

/** The output or failure of the function whose result the turn tells; null for any other turn. */
function resultIn({ log }, { data }) {
  if (!data.result_of) return null;
  const over = ({ type, turn }) => turn === data.result_of && ["tool.completed", "tool.failed"].includes(type);
  const returned = log.findLast(over)?.data;
  return returned?.output ?? returned?.message ?? data.text;
}

function newTurn(story, fact) {
  const { kind, text, settings } = fact.data;
  return {
    id: fact.seq,
    place: story.turns[fact.data.replaces]?.place ?? fact.seq, // the first of those that are versions of one another
    first: story.turns[fact.data.continues]?.first ?? fact.data.continues ?? fact.seq, // of those whose answers are one
    replaces: fact.data.replaces ?? null, // the turn whose place it takes, unless nothing comes of it
    instead: [], // the turns that it is there instead of: in a chat also those which followed
    replacing: null, // why no other turn could take its place
    kind,
    prompt: text,
    result: resultIn(story, fact), // of a function, which the prompt tells the language model
    speak: settings?.speak !== false,
    status: "queued",
    text: "",
    chars: 0, // of `text`, in code points
    wide: [], // see text.js
    textWhole: false,
    called: false, // a client was to call a function, and goes on with its result
    cut: false, // the language model reached the limit of its answer
    sentences: [],
    audioMs: 0,
    heardFrom: null, // play clock at the first audio
    overAt: null, // play clock at the terminal fact
    endSeq: null, // its number
    error: null,
    narration: null, // the session in which it is read out afterwards
    spoken: spokenIn(fact), // its utterances, if it was asked by voice
    compared: [], // of what was said, by both ways
    flushedAt: null, // play clock when its sound was dropped: somebody spoke
    heardMs: 0, // so much came out of somebody's loudspeaker, as far as they said so
    stopReason: null,
    stoppedBy: "", // name of the one of several people who stopped it
    times: timesOf(story, fact),
    voice: "", // of its latest sentence
    usage: null, // {provider, model, tokensIn, tokensOut}
    by: fact.data.by ?? "", // name of the one of several people who asked
    searches: kind === "prompt" && Boolean(settings?.collections?.length), // documents are to be looked at first
    passages: [], // found for it, numbered as the answer's markers are
    lookedUp: null, // {code, message}: why nothing could be
    supports: [], // which characters of the answer rest on which passage
  };
}

const newSentence = (start, end) => ({
  start,
  end,
  voiced: false,
  atMs: null,
  ms: 0,
  words: [],
  firstChunk: null,
  skipped: false,
  done: false,
  error: null,
});

/** Wall clock less the pauses: the time in which narration moves on. It stands still during a pause. */
export function playClock(story, nowMs) {
  return (story.pausedAt ?? nowMs) - story.pausedMs;
}

function resumed(story, ts) {
  if (story.pausedAt === null) return story;
  return { ...story, pausedMs: story.pausedMs + Math.max(0, ts - story.pausedAt), pausedAt: null, pausedBy: null };
}

/** A user who speaks on before anything was heard asks anew: the turn that `merges` names is no turn of its own any more. */
function requested(story, fact) {
  const order = story.order.filter((turn) => turn !== fact.data.merges);
  const turn = newTurn(story, fact);
  const { id, place } = turn;
  const at = place === id ? -1 : order.findIndex((other) => story.turns[other].place === place);
  const instead = at < 0 ? [] : order.slice(at, story.kind === "story" ? at + 1 : undefined);
  const versions = place === id ? {} : { [place]: [...(story.versions[place] ?? [place]), id] };
  return {
    ...resumed(story, fact.ts),
    turns: { ...story.turns, [id]: { ...turn, instead, compared: comparisonsOf(story.speech, turn) } },
    order: order.toSpliced(at < 0 ? order.length : at, instead.length, id),
    versions: { ...story.versions, ...versions },
  };
}

/** Nothing came of it: a scene failed or was stopped; in a chat no word was written, and no client was to call anything. */
const isLost = ({ kind }, turn) => (kind === "story" ? LOST.has(turn.status) : isOver(turn) && turn.text === "" && !turn.called);

/** A turn that nothing came of gives its place back to the latest version that something came of. */
function givenBack(story, { id, instead, error }) {
  if (!story.order.includes(id)) return story; // a later one has the place
  let back = instead;
  const first = () => story.turns[back[0]];
  while (isLost(story, first()) && first().instead.length) back = first().instead;
  const turns = { ...story.turns, [back[0]]: { ...first(), replacing: error } };
  return { ...story, turns, order: story.order.flatMap((turn) => (turn === id ? back : turn)) };
}

const ON_SESSION = {
  "session.started": (story, { data }) => ({
    ...story,
    kind: data.kind ?? "session",
    title: data.title ?? "",
    owner: data.parent || data.imported_from ? "" : (data.principal ?? ""), // a copy's questions may be somebody else's
    settings: data.settings,
  }),
  "member.added": (story, { data }) => ({ ...story, members: [...story.members, data.principal].filter(Boolean) }),
  "member.removed": (story, { data }) => ({ ...story, members: story.members.filter((name) => name !== data.principal) }),
  "session.renamed": (story, { data }) => ({ ...story, title: data.title }),
  "settings.changed": (story, { data }) => ({ ...story, settings: data.settings }),
  "session.ended": (story, { data }) => ({ ...story, ended: data.reason }),
  "playback.paused": (story, { ts, data }) =>
    story.pausedAt === null ? { ...story, pausedAt: ts, pausedBy: data.by ?? "user" } : story,
  "playback.resumed": (story, { ts }) => resumed(story, ts),
  // A new turn ends a pause: its answer is to be heard.
  "turn.requested": requested,
};

function withSentence(turn, number, patch) {
  const sentences = turn.sentences.slice();
  sentences[number] = { ...(sentences[number] ?? newSentence(turn.chars, turn.chars)), ...patch };
  return { ...turn, sentences };
}

function grown(turn, { at, text }) {
  const kept = at === turn.chars ? turn.text : turn.text.slice(0, unitAt(turn.wide, at));
  const wide = widePositions(text, at);
  return {
    ...turn,
    text: kept + text,
    chars: at + codePoints(text),
    wide: wide.length || at < turn.chars ? [...turn.wide.filter((position) => position < at), ...wide] : turn.wide,
  };
}

function withChunk(turn, { data, seq, ts }, story) {
  const sentence = turn.sentences[data.sentence];
  const heard = withSentence(turn, data.sentence, {
    ms: (sentence?.ms ?? 0) + data.ms,
    firstChunk: sentence?.firstChunk ?? seq,
  });
  const heardFrom = turn.heardFrom ?? playClock(story, ts);
  return { ...reached(heard, "firstAudio", ts), audioMs: data.at_ms + data.ms, heardFrom };
}

const ended = (turn, { type, data, ts, seq }, story) => ({
  ...turn,
  status: STATUS_OF[type],
  overAt: playClock(story, ts),
  endSeq: seq,
  stopReason: type === "turn.stopped" ? (data.reason ?? turn.stopReason) : turn.stopReason,
  error: type === "turn.failed" ? { code: data.code, message: data.message } : null,
});

/** No more of it is heard. */
const flushed = (turn, { ts, data }, story) => ({
  ...turn,
  flushedAt: turn.flushedAt ?? playClock(story, ts),
  stopReason: turn.stopReason ?? data.reason ?? null,
});

/** News of a narration that is not the latest one is no news. */
function told(turn, { data }, patch) {
  if (turn.narration?.session !== data.session) return turn;
  return { ...turn, narration: { ...turn.narration, ...patch } };
}

const ON_TURN = {
  "turn.started": (turn) => ({ ...turn, status: "running" }),
  "turn.stop_requested": (turn, fact, story) =>
    isOver(turn)
      ? flushed(turn, fact, story)
      : { ...turn, status: "stopping", stopReason: fact.data.reason ?? null, stoppedBy: fact.data.by ?? "" },
  "playback.flushed": flushed,
  "playback.heard": (turn, { ts, data }) =>
    reached({ ...turn, heardMs: Math.max(turn.heardMs, data.heard_ms) }, "heard", ts - data.heard_ms),
  "passages.found": (turn, { data }) => ({ ...turn, searches: false, passages: data.passages }),
  "passages.failed": (turn, { data }) => ({ ...turn, searches: false, lookedUp: data }),
  "answer.cited": (turn, { data }) => ({ ...turn, supports: data.supports }),
  "tool.called": (turn, { data }) => ({ ...turn, called: turn.called || data.place === "client" }),
  "text.delta": (turn, { ts, data }) => reached(grown(turn, data), "firstToken", ts),
  "text.completed": (turn, { data }) => {
    const cut = data.finish === "length";
    const standing = cut ? grown(turn, { at: Math.min(data.chars, turn.chars), text: "" }) : turn; // ends at a sentence
    const { provider = "", model = "", tokens_in: tokensIn = 0, tokens_out: tokensOut = 0 } = data;
    return { ...standing, textWhole: true, cut, usage: { provider, model, tokensIn, tokensOut } };
  },
  "sentence.ready": (turn, { data }) => withSentence(turn, data.sentence, newSentence(data.start, data.end)),
  "sentence.voiced": (turn, { data }) => ({
    ...withSentence(turn, data.sentence, { voiced: true, atMs: data.at_ms, ms: 0, words: data.words ?? [] }),
    voice: data.voice,
  }),
  "audio.chunk": withChunk,
  "sentence.completed": (turn, { data }) =>
    withSentence(turn, data.sentence, { done: true, atMs: data.at_ms, ms: data.ms }),
  "sentence.failed": (turn, { data: { sentence, code, message } }) =>
    withSentence(turn, sentence, { done: true, error: message, code }),
  "sentence.skipped": (turn, { data }) => withSentence(turn, data.sentence, { done: true, skipped: true }),
  // The skip of a sentence that will never be can be asked for; between it and the others there would be holes.
  "sentence.skip_requested": (turn, { data }) =>
    turn.sentences[data.sentence] ? withSentence(turn, data.sentence, { skipped: true }) : turn,
  "turn.completed": ended,
  "turn.stopped": ended,
  "turn.failed": ended,
  "narration.requested": (turn, { data: { session, by, voices = [] }, ts }) => ({
    ...turn,
    narration: { session, by, voices, status: "requested", audioMs: 0, missing: 0, error: null, ts },
  }),
  "narration.ready": (turn, fact) =>
    told(turn, fact, { status: "ready", audioMs: fact.data.audio_ms, missing: fact.data.missing ?? 0 }),
  "narration.failed": (turn, fact) =>
    told(turn, fact, { status: "failed", error: { code: fact.data.code, message: fact.data.message } }),
};

/** The transcripts become known to the turns that were asked with them. */
function heard(story, fact) {
  if (!Object.hasOwn(ON_SPEECH, fact.type)) return story;
  const speech = ON_SPEECH[fact.type](story.speech, fact);
  if (fact.type !== "transcript.compared") return { ...story, speech };
  const { input, utterance } = fact.data;
  const about = ({ spoken }) => spoken?.input === input && spoken.utterances.includes(utterance);
  const turns = { ...story.turns };
  for (const turn of Object.values(turns).filter(about)) {
    turns[turn.id] = { ...turn, compared: comparisonsOf(speech, turn) };
  }
  return { ...story, speech, turns };
}

/** The story after `fact`. Facts of types that we do not know only move the cursor. */
export function reduce(story, fact) {
  const log = [...story.log, { seq: fact.seq, ts: fact.ts, turn: fact.turn, type: fact.type, data: fact.data }];
  const noted = heard({ ...story, lastSeq: fact.seq, log: log.slice(-LOG_LENGTH) }, fact);
  if (Object.hasOwn(ON_SESSION, fact.type)) return ON_SESSION[fact.type](noted, fact);
  const turn = story.turns[fact.turn];
  if (!turn || !Object.hasOwn(ON_TURN, fact.type)) return noted;
  const changed = ON_TURN[fact.type](turn, fact, noted);
  const next = { ...noted, turns: { ...noted.turns, [turn.id]: changed } };
  const isGivenBack = changed.instead.length && fact.type in STATUS_OF && isLost(next, changed);
  return isGivenBack ? givenBack(next, changed) : next;
}

/** All versions of a turn, oldest first: their ids. */
export const versionsOf = ({ versions }, { id, place }) => versions[place] ?? [id];

/** The order of the turns where of some places `chosen` has another version than the one that counts. */
export function orderWith(story, chosen) {
  if (!chosen.size) return story.order;
  const { turns } = story;
  const order = [];
  let branch = story.order;
  for (let at = 0; at < branch.length; at += 1) {
    const wanted = chosen.get(turns[branch[at]].place) ?? branch[at];
    if (wanted !== branch[at]) {
      const later = versionsOf(story, turns[wanted]).findLast((id) => turns[id].instead[0] === wanted);
      branch = turns[later]?.instead ?? [wanted];
      at = 0;
    }
    order.push(branch[at]);
  }
  return order;
}

/** The turns in `order` whose answers are one with that of turn `order[number]`: {first, last}, numbers in `order`. */
export function answerIn({ turns }, order, number) {
  const isOne = (other) => turns[order[other]]?.first === turns[order[number]].first;
  let [first, last] = [number, number];
  while (isOne(first - 1)) first -= 1;
  while (isOne(last + 1)) last += 1;
  return { first, last };
}

/** The title, or the first words that were asked; empty where there are none. */
export const titleIn = ({ title, turns, order }) => unmarked(title) || beginning(turns[order[0]]?.prompt ?? "");

/** The turn that was asked for last, or undefined: of a story perhaps not the last scene. */
export const latestTurn = ({ turns, order }) => turns[order.reduce((one, other) => Math.max(one, other), 0)];

export const isOver = (turn) => turn.overAt !== null;

/** The last event that a fork after `turn` takes over: a question that came before its answer ended is left out. */
export const forkPointOf = ({ turns }, { id, endSeq }) =>
  Math.min(endSeq, ...Object.values(turns).filter((other) => other.id > id).map((other) => other.id - 1));

/** The name of whom a fact of the session is by, `by` being empty for its owner; empty where nobody else takes part. */
export function nameIn(story, by) {
  const several = story.members.length > 0 || story.order.some((id) => story.turns[id].by);
  return by || (several ? story.owner : "");
}

/** The turn that is being made now, or null. */
export function runningTurn(story) {
  const id = story.order.find((turn) => !isOver(story.turns[turn]) && story.turns[turn].status !== "queued");
  return id === undefined ? null : story.turns[id];
}

/** The text of one sentence, or of any range that the log counts in code points. */
export const textOf = (turn, { start, end }) => turn.text.slice(unitAt(turn.wide, start), unitAt(turn.wide, end));
