import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInThisContext } from "node:vm";

import { typeset } from "../../../web/formulas.js";

runInThisContext(readFileSync(new URL("../../../web/vendor/temml.min.js", import.meta.url), "utf8"));
globalThis.document = { createElement: () => ({ tagName: "SPAN", append() {} }) };

const unreadable = {
  "an unknown word": "\\nonsense{x}",
  "nothing above": "x^",
  "no character": '\\char"FFFFFFFF',
  "braces without end": "{".repeat(1_990) + "x" + "}".repeat(1_990),
  "a word that is defined, and stands for a million": `\\def\\a{${"x".repeat(2_500)}}${"\\a".repeat(700)}`,
};

for (const [name, tex] of Object.entries(unreadable)) {
  test(`a formula stays as it is written: ${name}`, () => assert.equal(typeset(tex, false), null));
}
