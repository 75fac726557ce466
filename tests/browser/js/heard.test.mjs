import assert from "node:assert/strict";
import { test } from "node:test";

import { Ledger } from "../../../clients/javascript/playback/heard.js";

function listener() {
  const told = [];
  const world = { now: 0, connected: true, told };
  world.ledger = new Ledger({
    nowMs: () => world.now,
    tell: ({ turn, heard_ms: ms, ended, underruns }) => {
      if (world.connected) told.push(ended ? [turn, ms, underruns] : [turn, ms]);
      return world.connected;
    },
  });
  world.play = (turn, from, to) => {
    for (let ms = from; ms <= to; ms += 20) {
      world.ledger.progress(turn, ms, true);
      world.now += 20;
    }
  };
  return world;
}

test("about once a second while something is heard", () => {
  const { told, play } = listener();
  play(3, 20, 3_100);
  assert.deepEqual(told, [[3, 20], [3, 1_020], [3, 2_020], [3, 3_020]]);
});

test("at once when the voice falls silent, and nothing while it stays silent", () => {
  const world = listener();
  world.play(3, 20, 400);
  for (let n = 0; n < 200; n += 1) {
    world.ledger.progress(3, 410, false);
    world.now += 20;
  }
  assert.deepEqual(world.told, [[3, 20], [3, 410]]);
});

test("nothing that was said already, and nothing that goes back", () => {
  const world = listener();
  world.ledger.now(3, 500);
  world.ledger.now(3, 500.3);
  world.ledger.now(3, 200);
  world.ledger.now(5, 0);
  assert.deepEqual(world.told, [[3, 500]]);
});

test("how a turn ended is told when there is somebody to tell again", () => {
  const world = listener();
  world.play(3, 20, 400);
  world.connected = false;
  world.ledger.last(3, 420, 2);
  world.ledger.progress(7, 30, true);
  world.connected = true;
  world.now += 5_000;
  world.ledger.progress(7, 60, true);
  assert.deepEqual(world.told, [[3, 20], [3, 420, 2], [7, 60]]);
});

test("the last word about a turn is said once, also where nothing new was heard, and not where nothing was", () => {
  const world = listener();
  world.ledger.now(3, 500);
  world.ledger.last(3, 500, 0);
  world.ledger.last(3, 500, 0);
  world.ledger.last(5, 0, 0);
  assert.deepEqual(world.told, [[3, 500], [3, 500, 0]]);
});
