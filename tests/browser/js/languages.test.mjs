import assert from "node:assert/strict";
import { test } from "node:test";

import { languageNames, unspokenWords, voiceOptions } from "../../../web/languages.js";
import { Log } from "./facts.mjs";

test("languages of a voice have names", () => {
  assert.equal(languageNames(["en-US", "de"]), "American English, German");
  assert.equal(languageNames(["*"]), "Every language");
  assert.equal(languageNames([]), "Language not told");
  assert.equal(languageNames(undefined), "Language not told");
});

test("voices are listed by language, also where there is one language only", () => {
  const createElement = (tag) => {
    const made = { tag, children: [], setAttribute: (name, value) => (made[name] = value) };
    made.append = (...children) => made.children.push(...children);
    return made;
  };
  globalThis.document = { createElement };
  const listed = (voices) =>
    voiceOptions(voices).map(({ tag, label, children }) => [tag, label, children.map(({ value }) => value)]);
  const joe = { id: "joe", languages: ["en-US"] };
  assert.deepEqual(listed([joe]), [["optgroup", "American English", ["joe"]]]);
  assert.deepEqual(listed([{ id: "thorsten", languages: ["de"] }, joe, { id: "eva", languages: ["de"] }]), [
    ["optgroup", "American English", ["joe"]],
    ["optgroup", "German", ["thorsten", "eva"]],
  ]);
});

test("a turn says which sentences no voice here speaks", () => {
  const log = new Log();
  const turn = log.ask("Read it.");
  log.speak(turn, 0, { start: 0, end: 5, atMs: 0, ms: 400 });
  const fail = (sentence, code, message) => log.add("sentence.failed", { sentence, code, message }, turn);
  assert.equal(unspokenWords(log.story.turns[turn]), "");
  fail(1, "engine.failed", "hoarse");
  assert.equal(unspokenWords(log.story.turns[turn]), "");
  fail(2, "voice.language", "No voice here speaks Chinese (zh).");
  assert.equal(unspokenWords(log.story.turns[turn]), "1 sentence was not spoken. No voice here speaks Chinese (zh).");
  fail(3, "voice.language", "No voice here speaks Chinese (zh).");
  fail(4, "voice.language", "No voice here speaks Thai (th).");
  assert.equal(
    unspokenWords(log.story.turns[turn]),
    "3 sentences were not spoken. No voice here speaks Chinese (zh). No voice here speaks Thai (th).",
  );
});
