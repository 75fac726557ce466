/** Staying signed in: the next token is fetched before the one at hand ends. The key itself is kept nowhere. */

import { isGuest, user } from "./credentials.js";
import { forgetTab, signedIn } from "./storage.js";

const LOOK_MS = 4_000;
const USED_UP = 0.5; // of its life, and a token is exchanged

let asking = null;

/** Keep what `POST v1/tokens` has answered. */
export function remember(made) {
  signedIn().write({ ...made, made_ms: Date.now() });
}

export function forget() {
  signedIn().write(null);
}

/** After a 401: whether to try again with another token, or false when the key must be shown again. */
export function renewed() {
  asking ??= renew().finally(() => (asking = null));
  return asking;
}

async function renew() {
  const kept = signedIn().read();
  if (isGuest || !kept?.renewal) return false;
  try {
    const headers = { Authorization: `Bearer ${kept.renewal}` };
    const answer = await fetch("v1/tokens/renewal", { method: "POST", headers });
    const made = answer.ok && (await answer.json());
    if (made && signedIn().read()?.renewal === kept.renewal) remember(made); // else somebody signed in meanwhile
    return answer.ok || answer.status >= 500;
  } catch (error) {
    if (!(error instanceof TypeError) && error.name !== "AbortError") throw error; // Firefox: the body broke off
    return true; // a server that does not answer is no reason to ask for a key
  }
}

/** The page begins anew; if it was that of `before`, who is not the user any more, nothing of theirs stays in this tab. */
export function beginAnew(before) {
  if (before && before !== user()) {
    forgetTab();
    location.replace("./");
  } else location.reload();
}

/**
 * From now on the first tab that finds the token half used up renews it for all tabs, and a tab whose user has changed in
 * another one begins anew, also one to which the browser goes back.
 */
export function staySignedIn() {
  const before = user();
  for (const event of ["storage", "pageshow"]) addEventListener(event, () => before === user() || beginAnew(before));
  setInterval(look, LOOK_MS);
  addEventListener("online", look);
  document.addEventListener("visibilitychange", look);
}

async function look() {
  const kept = signedIn().read();
  if (!kept) return;
  const age = Date.now() - (kept.made_ms ?? 0);
  if (kept.renewal && age > kept.expires_in * 1_000 * USED_UP) await renewed();
  freshenLinks(signedIn().read()?.token);
}

/**
 * Downloads show the token in their address; those of a page that is open for long would show one that has ended.
 * A link in an answer is no download, whatever its address says: it leads to anybody.
 */
function freshenLinks(token) {
  if (!token) return;
  for (const anchor of document.querySelectorAll('a[download][href*="token="]')) {
    const url = new URL(anchor.href);
    if (url.searchParams.get("token") === token) continue;
    url.searchParams.set("token", token);
    anchor.href = url.href;
  }
}
