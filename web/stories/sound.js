/** The sound of a scene: its own sound, or that of the session in which it is read out. Pure. */

import { isOver } from "../story.js";

/** The one turn of a narration: its request is the second fact. */
export const NARRATED = 2;

const STOPPED = "narration.stopped"; // the user stopped it, and knows

export const chunksMade = (turn) => turn.sentences.filter((sentence) => sentence?.done && sentence.ms > 0).length;

function why(turn) {
  const silent = turn.sentences.find((sentence) => sentence?.error);
  return turn.error ?? (silent && { code: silent.code, message: silent.error });
}

/** "making", "ready", "failed" or "none", as the turn itself shows it. */
function stateOf(turn) {
  if (!isOver(turn)) return "making";
  if (turn.audioMs > 0) return "ready";
  return turn.status !== "stopped" && why(turn) ? "failed" : "none";
}

function own(scene) {
  const state = scene.speak ? stateOf(scene) : "none";
  const error = state === "failed" && scene.status === "completed" ? why(scene) : null;
  return { session: null, turn: scene.id, reading: scene, state, made: chunksMade(scene), ms: scene.audioMs, error };
}

/**
 * `{session, turn, reading, state, made, ms, error}`: the `turn` of `session` (null: the story's own) is to be
 * played; `reading` is that turn as far as it is known. `told` is the narration's session, folded, or null.
 *
 * The story says how a narration ended, but what the narration itself says is earlier.
 */
export function soundOf(scene, told) {
  const { narration } = scene;
  if (!narration) return own(scene);
  const turn = told?.turns[NARRATED] ?? null;
  const seen = turn ? stateOf(turn) : "making";
  const stopped = narration.error?.code === STOPPED;
  const state = stopped ? "none" : narration.status === "requested" ? seen : narration.status;
  const error = state === "failed" ? (narration.error ?? (turn && why(turn)) ?? null) : null;
  if ((state === "failed" || state === "none") && scene.audioMs > 0) return { ...own(scene), error };
  const ms = Math.max(turn?.audioMs ?? 0, narration.audioMs);
  const made = turn ? chunksMade(turn) : 0;
  return { session: narration.session, turn: NARRATED, reading: turn, state, made, ms, error };
}

/** The scene's text with the sentences of the reading that is heard. */
export function readOut(scene, { reading }) {
  if (!reading || reading === scene) return scene;
  const { sentences, audioMs } = reading;
  return { ...scene, sentences, audioMs };
}
