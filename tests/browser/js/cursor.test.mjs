import assert from "node:assert/strict";
import { test } from "node:test";

import { Cursor, retryDelayMs } from "../../../clients/javascript/cursor.js";

test("only the very next fact is news", () => {
  const cursor = new Cursor("abc", 4);
  assert.equal(cursor.judge(4), "old");
  assert.equal(cursor.judge(5), "next");
  assert.equal(cursor.judge(6), "gap");
});

test("a cursor names its generation once it knows it", () => {
  assert.equal(String(new Cursor()), "0");
  assert.equal(String(new Cursor("mpwv1", 57)), "mpwv1-57");
});

test("retries wait longer and longer, never longer than fifteen seconds, and not all alike", () => {
  const delays = [0, 1, 2, 3, 4].map((failures) => retryDelayMs(failures, 0.5));
  assert.deepEqual([...delays].sort((a, b) => a - b), delays);
  assert.ok(retryDelayMs(1000, 0.999) <= 15_000);
  assert.ok(retryDelayMs(3, 0) < retryDelayMs(3, 0.9));
  assert.ok(retryDelayMs(0, 0) > 0);
});
