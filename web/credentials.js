/** This tab's credential: nothing, a guest's link, or the token of the user who signed in. */

import { signedIn } from "./storage.js";

const guest = new URLSearchParams(globalThis.location?.search ?? "").get("share");

export const credential = () => guest ?? signedIn().read()?.token ?? null;

/** True for somebody with a share link. */
export const isGuest = guest !== null;

/** For addresses that the browser itself asks for, such as downloads. */
export function withCredential(query) {
  const shown = credential();
  return shown ? { ...query, token: shown } : query;
}

/** The signed-in user; on a server without keys, everybody is "me". */
export function userName() {
  const claims = signedIn().read()?.token?.split(".")[1];
  if (!claims) return "me";
  return JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).sub;
}
