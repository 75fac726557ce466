/** For a server that wants to know who asks: a key is exchanged for tokens, and not kept. */

import { Problem, once } from "./api.js";
import { user } from "./credentials.js";
import { makeDialog } from "./dialog.js";
import { asSentence, byId, make, problemLine, say } from "./dom.js";
import { beginAnew, remember } from "./staying.js";
import { t } from "./strings.js";

/** Ask for the key, unless that is being done. Afterwards the page begins anew. */
export function askForKey() {
  if (byId("sign-in")) return;
  const key = make("input", { type: "password", id: "api-key", autocomplete: "current-password", required: "" });
  const send = make("button", { type: "submit", class: "button" }, t("Sign in"));
  const problem = problemLine();
  const label = make("label", { for: "api-key" }, t("Your API key"));
  const form = make("form", { class: "share-form" }, label, key, send, problem);
  const words = t("This server requires an API key. The key is sent once and not kept; you stay signed in while a page is open.");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void exchange(key.value.trim(), problem);
  });
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  const dialog = makeDialog(t("Sign in"), { id: "sign-in" }, make("p", { class: "note" }, words), form);
  byId("sign-in-button").onclick = askForKey;
  byId("sign-in-button").hidden = true;
  dialog.addEventListener("close", () => (byId("sign-in-button").hidden = false)); // the way back
  key.focus();
}

async function exchange(key, problem) {
  say(problem, null);
  const before = user();
  try {
    const answer = await once("POST", "v1/tokens", undefined, { Authorization: `Bearer ${key}` });
    remember(await answer.json());
    beginAnew(before);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(problem, error.status === 401 ? t("This server does not know the key. Check it and try again.") : asSentence(error.message));
  }
}
