import assert from "node:assert/strict";
import { test } from "node:test";

import { connection } from "../../../web/connection.js";
import { ChatFiles } from "../../../web/conversations/chat-files.js";

const elements = {};
const element = () =>
  Object.assign(new EventTarget(), { append() {}, replaceChildren() {}, setAttribute() {}, firstElementChild: null });
globalThis.document = { getElementById: (name) => (elements[name] ??= element()), createElement: element };
connection.url = "http://127.0.0.1/";
globalThis.localStorage = { getItem: () => null };
globalThis.requestAnimationFrame = () => {}; // nothing is drawn

test("a chat that was left does not close the panel of the chat on show", async () => {
  const files = new ChatFiles({ id: "left" });
  files.leave();
  elements.attached.open = true;
  await files.ready(() => {});
  assert.equal(elements.attached.open, true);
});

test("a knowledge base that is unticked while the first file is attached stays unticked", async () => {
  const enough = new Error("nothing is uploaded here");
  const answers = { GET: { id: "bees", thread: null, documents: 3 }, POST: { id: "own", thread: "chat", documents: 0 } };
  let chosen;
  const files = new ChatFiles({
    id: "chat",
    name: "Hives",
    begun: async () => {},
    settings: async () => ({ collections: ["bees"] }),
    choose: async ({ collections }) => {
      chosen = collections;
      throw enough;
    },
  });
  globalThis.fetch = async (_, { method }) => {
    if (method === "POST") files.update([], false);
    return Response.json(answers[method]);
  };
  files.update(["bees"], false);
  await assert.rejects(files.add([{ name: "notes.md" }]), enough);
  assert.deepEqual(chosen, ["own"]);
});
