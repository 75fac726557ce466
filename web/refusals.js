/** The server's common refusals in the reader's language, by their stable codes (docs/protocol.md). */

import { language, t } from "./strings.js";

const REFUSALS = {
  "auth.forbidden": () => t("You are not allowed to do this."),
  "body.too_large": () => t("This is too large."),
  "connection.lost": () => t("The server cannot be reached."),
  "context.too_long": () => t("The conversation is too long for the model."),
  "engine.busy": () => t("The server is busy. Try again in a moment."),
  "engine.failed": () => t("The model or the voice failed. Try again."),
  "gateway.busy": () => t("The server is busy. Try again in a moment."),
  "gateway.leaving": () => t("The server is being restarted. Try again in a moment."),
  "input.beginning_lost": () => t("The connection was gone for long: the beginning of what was said is lost."),
  "input.too_long": () => t("The text is too long."),
  internal: () => t("Something went wrong."),
  "limit.sessions": () => t("Too many sessions are open."),
  "limit.turns": () => t("Too many requests. Try again in a moment."),
  "log.unavailable": () => t("The server cannot save anything at the moment. Try again."),
  "quota.reached": () => t("Your quota is used up."),
  "quota.stored": () => t("Your storage is full."),
  "session.ended": () => t("This session has ended."),
  "session.gone": () => t("This session was deleted."),
  "session.not_found": () => t("There is no such session, or it is somebody else's."),
  "turn.not_replaceable": () => t("Another version counts by now."),
  "turn.queue_full": () => t("Too many requests are waiting."),
  "voice.unknown": () => t("There is no such voice."),
};

const NAMELESS = "session.not_found"; // the server's words have an id in them, which says nothing to a reader

/** What to show of a problem {code, message}: the server's own words in English, and where the code is not among these. */
export function refusalOf({ code, message }) {
  if (language !== "en" && /^http\.5/.test(code)) return REFUSALS.internal();
  const known = Object.hasOwn(REFUSALS, code) && (language !== "en" || code === NAMELESS);
  return known ? REFUSALS[code]() : message;
}
