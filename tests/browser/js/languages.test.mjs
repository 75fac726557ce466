import assert from "node:assert/strict";
import { test } from "node:test";

import { languageNames } from "../../../web/languages.js";

test("languages of a voice have names", () => {
  assert.equal(languageNames(["en-US", "de"]), "American English, German");
  assert.equal(languageNames(["*"]), "Every language");
  assert.equal(languageNames([]), "Language not told");
  assert.equal(languageNames(undefined), "Language not told");
});
