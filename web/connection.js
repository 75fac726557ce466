/** The page's one connection to its server. */

import { Connection } from "./client/connection.js";
import { credential, isGuest } from "./credentials.js";
import { renewed } from "./staying.js";

const PATIENCE_MS = 6_000; // then somebody who waits is told

export const connection = new Connection({
  url: globalThis.document?.baseURI,
  credential,
  renew: renewed,
  onUnauthorized: () => isGuest || dispatchEvent(new Event("rhapsode:who")),
  patienceMs: PATIENCE_MS,
});
