/** Pinned entries of the history, in this browser. */

import { userName } from "./credentials.js";
import { pinnedBy } from "./storage.js";

const MOST = 20;

const pinned = () => pinnedBy(userName());

export const pins = () => pinned().read() ?? [];

export const isPinned = (id) => pins().some((one) => one.id === id);

/** `about`: {id, kind, title, created_ms}; the oldest pins give way. */
export function pin({ id, kind, title, created_ms }) {
  pinned().write([{ id, kind, title, created_ms }, ...pins().filter((one) => one.id !== id)].slice(0, MOST));
}

export const unpin = (id) => pinned().write(pins().filter((one) => one.id !== id));
