/** Facts of a collection to the documents in it: a pure reducer. States are never changed, only replaced. */

import { refusalOf } from "../refusals.js";
import { counted, t } from "../strings.js";

export const emptyShelf = () => ({ lastSeq: 0, name: "", over: false, documents: {}, order: [] });

const NEW = { state: "waiting", done: 0, bytes: 0, name: "", view: null, code: null, message: null };

function known(shelf, id, patch) {
  const document = { ...NEW, id, ...shelf.documents[id], ...patch };
  const order = shelf.documents[id] ? shelf.order : [...shelf.order, id];
  return { ...shelf, documents: { ...shelf.documents, [id]: document }, order };
}

/** Each addition begins with "waiting": what comes after a removal was told by one that had not seen it yet. */
const unlessRemoved = (shelf, id, patch) => (shelf.documents[id] ? known(shelf, id, patch) : shelf);

const ON = {
  "session.started": (shelf, { title }) => ({ ...shelf, name: title }),
  "session.renamed": (shelf, { title }) => ({ ...shelf, name: title }),
  "session.end_requested": (shelf) => ({ ...shelf, over: true }),
  "document.progressed": (shelf, { document, name, state, done, bytes }) =>
    (state === "waiting" ? known : unlessRemoved)(shelf, document, { name, state, done, bytes, code: null, message: null }),
  "document.added": (shelf, { view }) =>
    known(shelf, view.id, { state: "ready", done: 1, name: view.name, view, code: null, message: null }),
  "document.failed": (shelf, { document, code, message }) =>
    unlessRemoved(shelf, document, { state: "failed", code, message }),
  "document.removed": (shelf, { document }) => {
    const { [document]: _, ...documents } = shelf.documents;
    return { ...shelf, documents, order: shelf.order.filter((id) => id !== document) };
  },
};

/** The shelf after `fact`. */
export function shelve(shelf, { seq, type, data }) {
  const noted = { ...shelf, lastSeq: seq };
  return Object.hasOwn(ON, type) ? ON[type](noted, data) : noted;
}

/** A document's state, in words. */
export function standing({ state, done, view, code, message }) {
  switch (state) {
    case "sending":
      return t("Sending, {share} %", { share: Math.round(done * 100) });
    case "waiting":
      return t("Waiting");
    case "reading":
      return t("Reading");
    case "embedding":
      return t("Learning, {share} %", { share: Math.round(done * 100) });
    case "failed":
      return refusalOf({ code, message });
    default:
      return [...(view.pages ? [counted(view.pages, "{count} page", "{count} pages")] : []), counted(view.chunks, "{count} passage", "{count} passages")].join(" · ");
  }
}

/** A fresh UUIDv7: whoever sends a document names it, so that sending it again replaces it. */
export function documentId(now = Date.now(), random = crypto.getRandomValues(new Uint8Array(10))) {
  const digits = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const time = now.toString(16).padStart(12, "0");
  const variant = ((random[2] & 0x3f) | 0x80).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits.slice(0, 3)}-${variant}${digits.slice(6, 8)}-${digits.slice(8)}`;
}
