import assert from "node:assert/strict";
import { test } from "node:test";

import { Playout } from "../../../clients/javascript/playback/playout.js";

const RATE = 48_000;
const QUANTUM = 128;
const FADE = 0.02 * RATE;
const ms = (samples) => (samples / RATE) * 1000;

/** `count` samples of value 1, so that what is heard is the envelope. */
const ones = (count) => new Float32Array(count).fill(1);
const ramp = (from, count) => Float32Array.from({ length: count }, (_, i) => from + i);

function render(playout, samples) {
  const heard = [];
  for (let done = 0; done < samples; done += QUANTUM) {
    const out = new Float32Array(QUANTUM);
    playout.render(out);
    heard.push(...out);
  }
  return heard;
}

test("every sample is played once and in order, however it was cut into blocks", () => {
  for (const sizes of [[9_600], [1, 959, 4_000, 4_640], Array(100).fill(96)]) {
    const playout = new Playout(RATE);
    let at = 0;
    for (const size of sizes) {
      playout.push(ramp(at, size), ms(at), 0);
      at += size;
    }
    playout.finish(0);
    const heard = render(playout, at + QUANTUM).filter((sample) => sample !== 0);
    const steady = heard.slice(FADE, at);
    assert.deepEqual(steady, [...ramp(at - steady.length, steady.length)]);
    assert.equal(playout.played, at);
    assert.equal(playout.underruns, 0);
    assert.ok(playout.done);
  }
});

test("the position is the place in the turn, not the time since it began", () => {
  const playout = new Playout(RATE);
  playout.push(ones(9_600), 5_000, 0);
  assert.equal(playout.positionMs, null);
  render(playout, 4_800);
  assert.ok(Math.abs(playout.positionMs - 5_100) < 5);
});

test("running dry is one underrun, and it waits for a reserve before it goes on", () => {
  const playout = new Playout(RATE);
  playout.push(ones(4_800), 0, 0);
  render(playout, 6_000);
  assert.equal(playout.underruns, 1);
  playout.push(ones(4_800), 100, 0);
  assert.ok(render(playout, 1_280).every((sample) => sample === 0));
  playout.push(ones(9_600), 200, 0);
  assert.ok(render(playout, 1_280).some((sample) => sample > 0));
  assert.equal(playout.underruns, 1);
});

test("the end is no underrun", () => {
  const playout = new Playout(RATE);
  playout.push(ones(480), 0, 0);
  playout.finish(0);
  render(playout, 2_000);
  assert.ok(playout.done);
  assert.equal(playout.underruns, 0);
});

test("clearing falls silent within the fade and never jumps", () => {
  const playout = new Playout(RATE);
  playout.push(ones(96_000), 0, 0);
  render(playout, 9_600);
  playout.clear(1);
  const heard = render(playout, FADE + 2 * QUANTUM);
  const jumps = heard.slice(1).map((sample, i) => Math.abs(sample - heard[i]));
  assert.ok(Math.max(...jumps) < 0.01);
  assert.ok(heard.slice(FADE + 1).every((sample) => sample === 0));
  assert.equal(playout.queuedMs, 0);
});

test("what is pushed after a clear plays after the fade; what belongs to the past is dropped", () => {
  const playout = new Playout(RATE);
  playout.push(ones(96_000), 0, 0);
  render(playout, 9_600);
  playout.clear(1);
  playout.push(ones(4_800), 9_000, 0);
  playout.push(ones(4_800), 7_000, 1);
  playout.finish(1);
  render(playout, FADE + 4_800 + 4 * QUANTUM);
  assert.equal(playout.played, 4_800);
  assert.equal(Math.round(playout.positionMs), 7_100);
  assert.ok(playout.done);
});

test("holding keeps the place to the sample", () => {
  const playout = new Playout(RATE);
  playout.push(ones(48_000), 0, 0);
  render(playout, 9_600);
  playout.hold();
  render(playout, 2 * FADE);
  const held = playout.played;
  assert.ok(render(playout, 9_600).every((sample) => sample === 0));
  assert.equal(playout.played, held);
  playout.release();
  render(playout, 1_280);
  assert.equal(playout.played, held + 1_280);
  assert.equal(playout.underruns, 0);
});

test("a clear while holding plays nothing until it is released", () => {
  const playout = new Playout(RATE);
  playout.hold();
  playout.clear(1);
  playout.push(ones(9_600), 0, 1);
  assert.ok(render(playout, 4_800).every((sample) => sample === 0));
  playout.release();
  assert.ok(render(playout, 4_800).some((sample) => sample > 0));
});
