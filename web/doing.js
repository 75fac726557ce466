/** What is going on, in a word or two; empty where sound and text say it themselves. Pure. */

import { runningTurn } from "./story.js";

export function whatIsDone(story, turn, { paused, buffering }) {
  const running = runningTurn(story);
  if (running?.status === "stopping") return "Stopping…";
  if (turn && paused) return story.pausedBy === "voice" ? "Paused while you speak" : "Paused";
  if (running && !running.text) return "Thinking…";
  if (turn && turn.audioMs === 0) return "Preparing audio…";
  return buffering ? "Buffering…" : "";
}

/** What the assistant does: "speaking", "paused", "thinking", "writing", or null. `turn`: the one that is heard, or null. */
export function assistantDoes(story, turn, { paused, wantsVoice }) {
  if (turn?.audioMs) return paused ? "paused" : "speaking";
  const running = runningTurn(story);
  if (!running) return turn ? "thinking" : null;
  return running.text && !(wantsVoice && running.speak) ? "writing" : "thinking";
}
