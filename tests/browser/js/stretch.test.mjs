import assert from "node:assert/strict";
import { test } from "node:test";

import { Stretcher } from "../../../web/stretch.js";

const RATE = 24_000;
const tone = (ms, hertz) => Float32Array.from({ length: (RATE * ms) / 1000 }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / RATE));

function stretched(speed, samples, block = 480) {
  const stretcher = new Stretcher(RATE, speed);
  const all = [];
  const starts = [];
  for (let at = 0; at < samples.length; at += block) {
    const made = stretcher.push(samples.slice(at, at + block), (at * 1000) / RATE);
    starts.push(made.ms);
    all.push(...made.samples);
  }
  all.push(...stretcher.finish().samples);
  return { samples: all, starts };
}

const crossings = (samples) => samples.filter((value, i) => i && value >= 0 && samples[i - 1] < 0).length;

for (const speed of [0.5, 0.75, 1.5, 2]) {
  test(`at ${speed} times the speed it lasts as long and sounds as high`, () => {
    const given = tone(2_000, 220);
    const { samples } = stretched(speed, given);
    assert.ok(Math.abs(samples.length / (given.length / speed) - 1) < 0.04, `${samples.length}`);
    const hertz = crossings(samples) / (samples.length / RATE);
    assert.ok(Math.abs(hertz - 220) < 6, `${hertz}`);
    assert.ok(Math.max(...samples.map(Math.abs)) <= 1.001);
  });
}

test("the times of what comes out are those of what went in", () => {
  const { starts } = stretched(2, tone(1_000, 150));
  assert.deepEqual(starts, [...starts].sort((one, other) => one - other));
  assert.ok(starts.at(-1) > 900 && starts.at(-1) <= 1_000);
});

test("how the samples are cut into blocks changes nothing", () => {
  const given = tone(500, 180);
  assert.deepEqual(stretched(1.5, given, 480).samples, stretched(1.5, given, 1_111).samples);
});
