/** Places of listeners in a turn's audio. Pure; all times are milliseconds. */

import { isOver, playClock } from "./story.js";

const JUST_BEGUN_MS = 1_500;

/** The number of the last of `items` (ordered by `key`) that begins at or before `ms`, or -1. */
export function lastBegun(items, ms, key) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle][key] <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The number of the sentence heard at `ms`, or -1. */
export function sentenceAt(turn, ms) {
  return turn.sentences.findLastIndex((sentence) => sentence?.firstChunk && sentence.atMs <= ms);
}

/** The place one step back: the beginning of the sentence, or when that has just been, of the one before. */
export function previousBeginning(turn, ms) {
  const now = sentenceAt(turn, ms);
  const justBegun = now > 0 && ms - turn.sentences[now].atMs < JUST_BEGUN_MS;
  const target = turn.sentences.findLastIndex(
    (sentence, number) => sentence?.firstChunk && number < now + (justBegun ? 0 : 1),
  );
  return turn.sentences[target]?.atMs ?? 0;
}

/** The word of `sentence` heard at `ms`, or -1. Stays on a word until the next one begins. */
export function wordAt(sentence, ms) {
  return sentence ? lastBegun(sentence.words, ms, "start_ms") : -1;
}

/** The place of a listener at `ms` of `turn`, and the length of its sound: more may be heard than its events tell of yet. */
export function positionIn(turn, ms) {
  const ofMs = isOver(turn) ? turn.audioMs : Math.max(turn.audioMs, ms);
  return { ms: Math.min(ms, ofMs), ofMs };
}

/** After which fact to read so that the sentence heard at `ms` comes whole. */
export function readAfter(turn, ms) {
  const sentence = turn.sentences[sentenceAt(turn, ms)];
  return sentence ? sentence.firstChunk - 1 : turn.id;
}

const moreComes = (turn) => !isOver(turn) && turn.flushedAt === null;

/**
 * The place of a listener who has listened all along: {turn, ms}, or null when all has been said.
 *
 * Turns are heard one after another, each from its first audio on but not before the one before it ended.
 */
export function liveMoment(story, nowMs) {
  const now = playClock(story, nowMs);
  let free = -Infinity;
  for (const id of story.order.toSorted((one, other) => one - other)) { // a scene written again was heard later
    const turn = story.turns[id];
    if (!turn.speak) continue;
    if (turn.heardFrom === null) {
      if (moreComes(turn)) return { turn: id, ms: 0 };
      continue;
    }
    const begin = Math.max(turn.heardFrom, free);
    const stop = turn.status === "stopped" ? turn.overAt : Infinity;
    const end = Math.min(begin + turn.audioMs, stop, turn.flushedAt ?? Infinity);
    if (now < end || moreComes(turn)) return { turn: id, ms: Math.max(0, Math.min(now - begin, turn.audioMs)) };
    free = end;
  }
  return null;
}
