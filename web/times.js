/** Moments and lengths of time in words. */

import { language } from "./strings.js";

const DAY_MS = 86_400_000;
const hours = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });

/** "14:05" today, "3 May, 14:05" this year, and so on. */
export function when(ms, now = Date.now()) {
  const then = new Date(ms);
  const today = new Date(now);
  if (then.toDateString() === today.toDateString()) return hours.format(then);
  const near = then.getFullYear() === today.getFullYear() || now - ms < 90 * DAY_MS;
  return `${(near ? day : dayAndYear).format(then)}, ${hours.format(then)}`;
}

/** To the second. */
export const clock = (ms) => new Date(ms).toLocaleTimeString(language, { timeStyle: "medium" });

/** "340 ms", "2.31 s", "1 min 4 s". */
export function howLong(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(2)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}
