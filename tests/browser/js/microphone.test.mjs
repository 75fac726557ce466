import assert from "node:assert/strict";
import { test } from "node:test";

import { Backlog } from "../../../clients/javascript/microphone/backlog.js";
import { FrameBatcher } from "../../../clients/javascript/microphone/frame-batcher.js";
import { loudness, rmsOf } from "../../../clients/javascript/loudness.js";
import { SpeechFrames, toPcm16 } from "../../../clients/javascript/microphone/speech-frames.js";
import { Resampler } from "../../../clients/javascript/microphone/resampler.js";
import { inWords, lacking } from "../../../web/microphone/trouble.js";

const RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000];

const tone = (hz, rate, seconds, peak = 0.5) =>
  Float32Array.from({ length: rate * seconds }, (_, n) => peak * Math.sin((2 * Math.PI * hz * n) / rate));

function inBlocks(sound, sizes, take) {
  for (let at = 0, turn = 0; at < sound.length; turn += 1) {
    const size = sizes[turn % sizes.length];
    take(sound.subarray(at, at + size));
    at += size;
  }
}

function resampled(sound, rate, sizes = [128]) {
  const resampler = new Resampler(rate);
  const out = [];
  inBlocks(sound, sizes, (block) => out.push(...resampler.push(block)));
  return out;
}

const power = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);

test("however the sound is cut into blocks, the same samples come out", () => {
  for (const rate of RATES) {
    const sound = tone(440, rate, 0.25);
    const whole = resampled(sound, rate, [sound.length]);
    for (const sizes of [[1], [128], [7, 300, 2], [1_000]]) assert.deepEqual(resampled(sound, rate, sizes), whole);
  }
});

test("a second of sound at any rate is a second of speech, but for the millisecond it looks ahead", () => {
  for (const rate of RATES) {
    const { length } = resampled(tone(440, rate, 1), rate);
    assert.ok(length <= 16_000 && length >= 16_000 - 33, `${rate}: ${length}`);
  }
});

test("what speech consists of passes unchanged and in time", () => {
  for (const rate of [44_100, 48_000]) {
    for (const hz of [100, 1_000, 3_400, 6_000]) {
      const out = resampled(tone(hz, rate, 0.5), rate).slice(200);
      const wanted = tone(hz, 16_000, 0.5).slice(200, 200 + out.length);
      const error = power(out.map((sample, n) => sample - wanted[n]));
      assert.ok(error < 0.004, `${hz} Hz at ${rate}: off by ${error}`);
    }
  }
});

test("what cannot be written at 16 kHz is taken away and does not fold back", () => {
  for (const hz of [9_000, 12_000, 20_000]) {
    const out = resampled(tone(hz, 48_000, 0.5), 48_000).slice(200);
    assert.ok(power(out) < 0.0005, `${hz} Hz: ${power(out)}`);
  }
});

test("a constant stays what it was", () => {
  const out = resampled(new Float32Array(4_410).fill(0.25), 44_100).slice(100);
  assert.ok(out.every((sample) => Math.abs(sample - 0.25) < 1e-4));
});

test("samples become 16-bit numbers, and too loud ones are cut off", () => {
  assert.deepEqual([...toPcm16([0, 0.5, -1, 1, 7, -7])], [0, 16_384, -32_768, 32_767, 32_767, -32_768]);
});

test("silence before a wish moves the wish and all that follows, and is acknowledged with the sound before it", () => {
  const backlog = new Backlog();
  const commit = { type: "input.commit" };
  backlog.push(new Int16Array(512).fill(1));
  backlog.wish(commit);
  backlog.push(new Int16Array(512).fill(2));
  assert.equal(backlog.next().pcm[0], 1);
  assert.equal(backlog.next().wish, commit);
  backlog.fill(128, commit); // 40 ms in all
  assert.equal(backlog.next().pcm[0], 2);
  assert.equal(backlog.endMs, 72);
  assert.ok(backlog.rewind(40));
  assert.deepEqual(backlog.wishes, [commit]);
  assert.equal(backlog.next().wish, commit);
  assert.equal(backlog.next().pcm[0], 2);
  backlog.done(commit);
  backlog.fill(128, commit); // forgotten meanwhile
  assert.equal(backlog.endMs, 72);
});

test("frames are whole, and nothing between them is lost", () => {
  const frames = new SpeechFrames(48_000);
  const got = [];
  inBlocks(tone(300, 48_000, 1), [128], (block) => got.push(...frames.push(block)));
  assert.ok(got.every(({ length }) => length === 512));
  assert.equal(got.length, 31);
  const joined = got.flatMap((pcm) => [...pcm]);
  assert.deepEqual(joined, [...toPcm16(resampled(tone(300, 48_000, 1), 48_000))].slice(0, joined.length));
});

test("loudness goes from silence to loud", () => {
  assert.equal(loudness(0), 0);
  assert.equal(loudness(0.9), 1);
  assert.ok(loudness(0.02) > 0.3 && loudness(0.02) < 0.7);
  assert.equal(rmsOf(new Int16Array(0)), 0);
});

const frame = (value, ms = 32) => new Int16Array(16 * ms).fill(value);

function sent(backlog) {
  const all = [];
  for (let item = backlog.next(); item; item = backlog.next()) all.push(item.wish ?? [item.pcm[0], item.pcm.length / 16]);
  return all;
}

test("what was sent and not acknowledged is sent again, from the very sample", () => {
  const backlog = new Backlog();
  for (const value of [1, 2, 3]) backlog.push(frame(value));
  assert.deepEqual(sent(backlog), [[1, 32], [2, 32], [3, 32]]);
  backlog.acknowledge(40);
  assert.equal(backlog.fromMs, 32);
  assert.ok(backlog.rewind(48));
  assert.deepEqual(sent(backlog), [[2, 16], [3, 32]]);
  assert.equal(backlog.endMs, 96);
});

test("a wish keeps its place among the sound until it is done", () => {
  const backlog = new Backlog();
  backlog.push(frame(1));
  backlog.wish("commit");
  backlog.push(frame(2));
  assert.deepEqual(sent(backlog), [[1, 32], "commit", [2, 32]]);
  backlog.acknowledge(64);
  assert.ok(backlog.rewind(64));
  assert.deepEqual(sent(backlog), ["commit"]);
  backlog.done("commit");
  assert.ok(backlog.empty);
});

test("sound is only kept for so long, and whoever wants older sound is told", () => {
  const backlog = new Backlog({ keptMs: 96 });
  for (const value of [1, 2, 3, 4, 5]) backlog.push(frame(value));
  assert.equal(backlog.fromMs, 64);
  assert.equal(backlog.rewind(32), false);
  assert.equal(backlog.rewind(200), false);
  backlog.restart();
  assert.deepEqual([backlog.fromMs, backlog.endMs], [0, 96]);
  assert.deepEqual(sent(backlog), [[3, 32], [4, 32], [5, 32]]);
  assert.ok(backlog.rewind(0));
});

test("forgetting what was never sent does not skip what follows", () => {
  const backlog = new Backlog({ keptMs: 64 });
  backlog.push(frame(1));
  backlog.wish("commit");
  assert.deepEqual(sent(backlog), [[1, 32], "commit"]);
  for (const value of [2, 3, 4]) backlog.push(frame(value));
  assert.deepEqual(sent(backlog), [[3, 32], [4, 32]]);
});

test("at a fresh beginning the server may want everything", () => {
  const backlog = new Backlog();
  assert.ok(backlog.rewind(0));
  backlog.push(frame(1));
  assert.ok(backlog.rewind(0));
  assert.deepEqual(sent(backlog), [[1, 32]]);
});

test("every trouble has words that say what to do", () => {
  assert.match(inWords("NotAllowedError"), /Allow it/);
  assert.match(inWords("NotReadableError"), /another program/);
  assert.match(inWords("constructor"), /could not be opened \(constructor\)/);
  assert.equal(lacking({ isSecureContext: false }), "insecure");
  assert.equal(lacking({ isSecureContext: true, navigator: { mediaDevices: { getUserMedia() {} } } }), "worklet");
  const able = { isSecureContext: true, navigator: { mediaDevices: { getUserMedia() {} } }, AudioWorkletNode: class {} };
  assert.equal(lacking(able), null);
});

const noise = (peak, ms = 32) => Int16Array.from({ length: 16 * ms }, (_, n) => (n % 7 === 3 ? peak : n % 5));

test("silence goes out in longer frames once it has lasted two seconds, and speech at once with what waited", () => {
  const batcher = new FrameBatcher();
  const sizes = (frames, peak) => Array.from({ length: frames }, () => batcher.push(noise(peak)).length / 16);
  assert.deepEqual(sizes(62, 200), Array(62).fill(32));
  assert.deepEqual(sizes(16, 250), [...Array(7).fill(0), 256, ...Array(7).fill(0), 256]);
  assert.deepEqual(sizes(2, 150), [0, 0]);
  assert.deepEqual(sizes(3, 2_000), [96, 32, 32]);
  assert.deepEqual(sizes(62, 200), Array(62).fill(32));
  assert.equal(batcher.push(noise(200)).length, 0);
  assert.equal(batcher.take().length, 512);
  assert.equal(batcher.take().length, 0);
});

test("sound that is long enough by itself never waits, and a room that becomes louder is silence again", () => {
  const batcher = new FrameBatcher(48_000);
  for (let n = 0; n < 5; n += 1) assert.equal(batcher.push(new Int16Array(48_000)).length, 48_000);
  assert.equal(batcher.push(new Int16Array(960)).length, 0);
  const waited = Array.from({ length: 400 }, () => batcher.push(noise(500, 60)).length === 0);
  assert.ok(!waited[50] && waited.slice(-4).some(Boolean));
});
