import assert from "node:assert/strict";
import { test } from "node:test";

import { Composer } from "../../../web/composer.js";

for (const [id, type] of [["text", "input"], ["composer", "change"], ["composer", "submit"]]) {
  test(`before a place is on show, ${type} of the box sends nothing and leaves what was typed`, async () => {
    const elements = {};
    const element = () => Object.assign(new EventTarget(), { value: "half a thought", textContent: "", disabled: true });
    globalThis.document = { getElementById: (name) => (elements[name] ??= element()) };
    globalThis.sessionStorage = { getItem: () => null, setItem: () => assert.fail("it is nobody's draft") };
    globalThis.FormData = class {
      get = () => null;
    };
    new Composer({ place: () => assert.fail("there is none") });
    elements[id].dispatchEvent(new Event(type));
    await new Promise(setImmediate);
    assert.equal(elements.text.value, "half a thought");
  });
}

test("files that the place on show does not take are refused in words", async () => {
  const elements = {};
  const element = () => Object.assign(new EventTarget(), { textContent: "" });
  globalThis.document = { getElementById: (name) => (elements[name] ??= element()) };
  const composer = new Composer({ place: () => assert.fail("it is not asked") });
  await composer.attach([{ name: "notes.md" }]);
  assert.equal(elements.problem.textContent, "notes.md cannot be attached: this chat takes audio files only.");
  assert.equal(elements.problem.hidden, false);
});
