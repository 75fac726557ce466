/** The present activity, in a word or two; empty where sound and text say it themselves. Pure. */

import { runningTurn } from "./story.js";
import { t } from "./strings.js";

export function whatIsDone(story, turn, { paused, buffering }) {
  const running = runningTurn(story);
  if (running?.status === "stopping") return t("Stopping…");
  if (turn && paused) return story.pausedBy === "voice" ? t("Paused while you speak") : t("Paused");
  if (running && !running.text) return running.searches ? t("Searching the documents…") : t("Thinking…");
  if (turn && turn.audioMs === 0) return t("Preparing audio…");
  return buffering ? t("Buffering…") : "";
}

/** The assistant's activity: "speaking", "paused", "searching", "thinking", "writing", or null. `turn`: the one that is heard, or null. */
export function assistantDoes(story, turn, { paused, wantsVoice }) {
  if (turn?.audioMs) return paused ? "paused" : "speaking";
  const running = runningTurn(story);
  if (!running) return turn ? "thinking" : null;
  if (running.searches) return "searching";
  return running.text && !(wantsVoice && running.speak) ? "writing" : "thinking";
}
