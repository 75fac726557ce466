import assert from "node:assert/strict";
import { test } from "node:test";

import { tokensOf } from "../../../web/code-colors.js";
import library from "../../../web/vendor/highlight.min.js";

const PYTHON = 'def brew(cup):  # twice\n    return f"a {cup * 2} <b>" + str(None)\n';

test("code is coloured by what its words are, each letter at most once", () => {
  const tokens = tokensOf(library, PYTHON, "python");
  const said = tokens.map(({ start, end, color }) => [PYTHON.slice(start, end), color]);
  assert.deepEqual(said, [
    ["def", "keyword"], ["brew", "name"], ["# twice", "comment"], ["return", "keyword"],
    ['f"a ', "string"], ["2", "number"], [' <b>"', "string"], ["str", "name"], ["None", "number"],
  ]);
  assert.ok(tokens.every(({ start }, number) => start >= (tokens[number - 1]?.end ?? 0)));
});

test("a language that nobody knows, and what is very long, keeps one colour", () => {
  assert.deepEqual(tokensOf(library, PYTHON, "brewing"), []);
  assert.deepEqual(tokensOf(library, PYTHON.repeat(2_000), "python"), []);
  assert.deepEqual(tokensOf(library, "", "js"), []);
});
