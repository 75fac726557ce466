/** The microphone's button, its state and its words. Pure. */

import { t } from "../strings.js";

const STALE_MS = 60_000; // speech that began so long ago, without an end in the log, is over

/** The utterances that are worth a look now: notes stay, what was being said long ago does not. */
export function current(speech, nowMs) {
  const passing = ({ state }) => state === "speaking" || state === "understanding" || state === "understood";
  return speech.utterances.filter((one) => !passing(one) || Math.abs(nowMs - one.ts) < STALE_MS);
}

/** Settings of listening, of which later ones go before; those within `endpointing` are merged one by one. */
export function listeningOf(...parts) {
  const endpointing = Object.assign({}, ...parts.map((part) => part?.endpointing));
  return Object.assign({}, ...parts, Object.keys(endpointing).length ? { endpointing } : {});
}

const DOES = {
  searching: t("Searching the documents…"),
  thinking: t("Thinking…"),
  speaking: t("Speaking"),
  paused: t("Paused"),
  writing: t("Answering"),
};

/**
 * `status`: {phase, line, muted, manual, holding} of this page; `input`: its name; `does`: what the assistant does, see
 * doing.js. Returns {name, words}: a name for styles and tests, and what a person reads.
 */
export function stateOf({ phase, line, muted, manual, holding, input }, utterances, does) {
  const mine = utterances.filter((one) => one.input === input);
  const is = (state) => mine.some((one) => one.state === state);
  if (phase === "off") return { name: "off", words: "" };
  if (phase === "opening") return { name: "opening", words: t("Opening the microphone…") };
  if (line === "reconnecting") return { name: "reconnecting", words: t("Reconnecting; what you say is kept") };
  if (line === "connecting") return { name: "connecting", words: t("Connecting…") };
  if (muted) return { name: "muted", words: [t("Muted"), DOES[does]].filter(Boolean).join(" · ") };
  if ((manual && holding) || is("speaking")) return { name: "hearing", words: t("Listening") };
  if (is("understanding") || is("understood")) return { name: "understanding", words: t("Transcribing…") };
  if (does) return { name: does, words: DOES[does] };
  return manual ? { name: "ready", words: t("Hold to talk") } : { name: "listening", words: t("Listening") };
}
