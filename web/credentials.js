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

/** The signed-in user, or null. */
export function user() {
  const claims = signedIn().read()?.token?.split(".")[1];
  return claims ? JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).sub : null;
}

/** On a server without keys, everybody is "me". */
export const userName = () => user() ?? "me";
