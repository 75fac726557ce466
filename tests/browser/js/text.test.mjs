import assert from "node:assert/strict";
import { test } from "node:test";

import { codePoints, unitAt, widePositions } from "../../../web/text.js";

const TEXT = "a🦊b🌊🌊c, naïve 漢字 𝄞";

test("every code point of a text is found at its unit", () => {
  const wide = widePositions(TEXT);
  const characters = [...TEXT];
  characters.forEach((character, at) => {
    const unit = unitAt(wide, at);
    assert.equal(TEXT.slice(unit, unitAt(wide, at + 1)), character);
  });
  assert.equal(unitAt(wide, characters.length), TEXT.length);
});

test("wide positions of a text are those of its parts, told from where each begins", () => {
  for (let cut = 0; cut <= [...TEXT].length; cut += 1) {
    const head = [...TEXT].slice(0, cut).join("");
    const tail = [...TEXT].slice(cut).join("");
    assert.deepEqual([...widePositions(head), ...widePositions(tail, cut)], widePositions(TEXT));
  }
});

test("code points are counted, not units", () => {
  assert.equal(codePoints("🦊🦊"), 2);
  assert.equal(codePoints(""), 0);
});
