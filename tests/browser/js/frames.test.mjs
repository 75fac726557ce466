import assert from "node:assert/strict";
import { test } from "node:test";

import { opusPackets, parseFrame, pcm16ToFloat } from "../../../clients/javascript/frames.js";

function frameOf(fact, audio) {
  const json = new TextEncoder().encode(JSON.stringify(fact));
  const bytes = new Uint8Array(4 + json.length + audio.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  bytes.set(audio, 4 + json.length);
  return bytes.buffer;
}

test("a binary frame gives back its fact and its audio", () => {
  const { event, audio } = parseFrame(frameOf({ seq: 7, data: { text: "Füchse 🦊" } }, [1, 2, 3]));
  assert.deepEqual(event, { seq: 7, data: { text: "Füchse 🦊" } });
  assert.deepEqual([...audio], [1, 2, 3]);
});

test("a frame that ends too early is refused", () => {
  const whole = frameOf({ seq: 1 }, []);
  assert.throws(() => parseFrame(whole.slice(0, 3)), RangeError);
  assert.throws(() => parseFrame(whole.slice(0, 8)), RangeError);
});

test("opus packets are told apart by their lengths", () => {
  const long = new Uint8Array(300).fill(9);
  const packets = opusPackets(new Uint8Array([0, 2, 5, 6, 1, 44, ...long]));
  assert.deepEqual([...packets[0]], [5, 6]);
  assert.deepEqual([...packets[1]], [...long]);
  assert.equal(packets.length, 2);
});

test("a cut-off opus packet is refused", () => {
  assert.throws(() => opusPackets(new Uint8Array([0, 3, 1, 2])), RangeError);
  assert.throws(() => opusPackets(new Uint8Array([0])), RangeError);
});

test("samples keep their value and sign, wherever their bytes begin", () => {
  const bytes = new Uint8Array([255, 0x00, 0x80, 0xff, 0x7f, 0x00, 0x00]).subarray(1);
  assert.deepEqual([...pcm16ToFloat(bytes)], [-1, 32767 / 32768, 0]);
});
