/** The server's refusals in the reader's language, by their stable codes (docs/protocol.md). */

import { language, t } from "./strings.js";

const NAMELESS = "session.not_found"; // the server's words have an id in them, which says nothing to a reader
let words = new Map();
const loaded = ({ WORDS }) => (words = WORDS);
if (language !== "en") import("./refusal-words.js").then(loaded, () => {}); // English is better than no page

/** The words for a problem {code, message}: the server's own ones in English, and where the code is not known. */
export function refusalOf({ code, message }) {
  if (code === NAMELESS) return t("There is no such session, or it is somebody else's.");
  const known = words.get(/^http\./.test(code) ? "internal" : code);
  return known?.replace("{reason}", () => message) ?? message;
}
