/** The commands about conversations, characters and documents. A refusal becomes a `Problem`. */

import { once, patiently } from "../api.js";
import { soon } from "../parts.js";

const path = (...parts) => ["v1", ...parts.map(encodeURIComponent)].join("/");
const search = (query) => {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

export class ConversationsApi {
  async thread(id) {
    return (await patiently("GET", path("threads", id))).json();
  }

  async begin(wish) {
    return (await once("POST", path("threads"), wish)).json();
  }

  /** Another character, from the next question on; null: none. */
  async change(id, { character }) {
    await patiently("PATCH", path("threads", id), { character });
  }

  /** Resolves with the turn once the question is in the log; the answer comes from there, so its stream is let go. */
  async ask(thread, { prompt, replaces, continues }, { aloud, key }) {
    const wish = { thread_id: thread, message: prompt, replaces, continues, audio: aloud ? "opus" : "none" };
    const answer = await patiently("POST", path("conversations", "message", "stream"), wish, { "Idempotency-Key": key });
    void answer.body.cancel().catch(() => {}); // it has broken off by itself
    return Number(answer.headers.get("X-Rhapsode-Turn"));
  }

  async addMember(thread, user) {
    await patiently("PUT", path("threads", thread, "members"), { user });
  }

  async removeMember(thread, user) {
    await patiently("DELETE", path("threads", thread, "members", user));
  }

  async characters() {
    return (await (await patiently("GET", path("characters"))).json()).characters;
  }

  /** A new one, or `id` changed. */
  async saveCharacter(id, wish) {
    const [send, method, where] = id ? [patiently, "PATCH", path("characters", id)] : [once, "POST", path("characters")];
    return (await send(method, where, wish)).json();
  }

  async removeCharacter(id) {
    await patiently("DELETE", path("characters", id));
  }

  async voices() {
    return (await patiently("GET", "v1/voices")).json();
  }

  async collections(query = {}) {
    return (await patiently("GET", path("collections") + search(query))).json();
  }

  async collection(id) {
    return (await patiently("GET", path("collections", id))).json();
  }

  /** `thread`: the chat whose files it is for, and with which it is deleted; undefined: it is there by itself. */
  async createCollection(name, thread) {
    return (await once("POST", path("collections"), { name, thread })).json();
  }

  async renameCollection(id, name) {
    await patiently("PATCH", path("collections", id), { name });
  }

  async removeCollection(id) {
    await patiently("DELETE", path("collections", id));
  }

  /** Also puts right what the log and the store say differently. */
  async documents(id) {
    return (await (await patiently("GET", path("collections", id, "documents"))).json()).documents;
  }

  /** Resolves when it can be found. Sent again under the same id, it is still one document. */
  async send(collection, document, file, options) {
    const form = new FormData();
    form.append("document_id", document);
    form.append("file", file, file.name);
    const { upload } = await soon();
    return upload(path("collections", collection, "documents"), form, options);
  }

  async removeDocument(collection, document) {
    await patiently("DELETE", path("collections", collection, "documents", document));
  }

  /** A part of a document and what is around it. */
  async text(collection, document, query) {
    return (await patiently("GET", path("collections", collection, "documents", document, "text") + search(query))).json();
  }

  async find(collection, question) {
    return (await (await once("POST", path("collections", collection, "search"), { question })).json()).passages;
  }
}
