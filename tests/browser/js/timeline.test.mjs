import assert from "node:assert/strict";
import { test } from "node:test";

import { liveMoment, positionIn, readAfter, sentenceAt, wordAt } from "../../../web/timeline.js";
import { Log } from "./facts.mjs";

function twoSentences() {
  const log = new Log();
  const turn = log.ask("?");
  log.add("text.delta", { at: 0, text: "One two. (!) Three." }, turn);
  const words = [
    { start: 0, end: 3, start_ms: 0, end_ms: 300 },
    { start: 4, end: 7, start_ms: 350, end_ms: 900 },
  ];
  const first = log.speak(turn, 0, { start: 0, end: 9, atMs: 0, ms: 1_000, words });
  log.add("sentence.ready", { sentence: 1, start: 9, end: 13, spoken: "" }, turn);
  const third = log.speak(turn, 2, { start: 13, end: 19, atMs: 1_000, ms: 500 });
  return { log, turn, first, third };
}

test("the sentence and the word that are heard follow the position; silent sentences are never heard", () => {
  const { log, turn } = twoSentences();
  const told = log.story.turns[turn];
  assert.deepEqual([0, 999, 1_000, 9_000].map((ms) => sentenceAt(told, ms)), [0, 0, 2, 2]);
  assert.deepEqual([0, 320, 350, 2_000].map((ms) => wordAt(told.sentences[0], ms)), [0, 0, 1, 1]);
  assert.equal(wordAt(told.sentences[2], 1_100), -1);
});

test("nothing is heard before the first audio", () => {
  const log = new Log();
  const turn = log.ask("?");
  assert.equal(sentenceAt(log.story.turns[turn], 0), -1);
  assert.equal(readAfter(log.story.turns[turn], 0), turn);
});

test("one reads on from just before the first chunk of the sentence", () => {
  const { log, turn, first, third } = twoSentences();
  const told = log.story.turns[turn];
  assert.equal(readAfter(told, 700), first - 1);
  assert.equal(readAfter(told, 1_400), third - 1);
});

test("the live moment is the time since the first audio, but never beyond what there is", () => {
  const { log, turn } = twoSentences();
  assert.deepEqual(liveMoment(log.story, log.now + 600), { turn, ms: 600 });
  assert.deepEqual(liveMoment(log.story, log.now + 60_000), { turn, ms: 1_500 });
});

test("a turn that has been said is not heard again", () => {
  const { log, turn } = twoSentences();
  log.add("turn.completed", { sentences: 3, audio_ms: 1_500 }, turn);
  assert.deepEqual(liveMoment(log.story, log.now + 1_400), { turn, ms: 1_400 });
  assert.equal(liveMoment(log.story, log.now + 1_501), null);
});

test("pauses do not count, nor does a stopped turn go on", () => {
  const { log, turn } = twoSentences();
  log.add("playback.paused", {}, null, 200);
  log.add("playback.resumed", {}, null, 10_000);
  assert.deepEqual(liveMoment(log.story, log.now + 300), { turn, ms: 500 });
  log.add("turn.stopped", { reason: "user" }, turn, 300);
  assert.equal(liveMoment(log.story, log.now + 1), null);
});

test("turns are heard one after another, however fast they were made", () => {
  const { log, turn } = twoSentences();
  log.add("turn.completed", { sentences: 3, audio_ms: 1_500 }, turn);
  const next = log.ask("and then?");
  log.speak(next, 0, { start: 0, end: 1, atMs: 0, ms: 2_000 });
  log.add("turn.completed", { sentences: 1, audio_ms: 2_000 }, next);
  assert.deepEqual(liveMoment(log.story, log.now + 1_000), { turn, ms: 1_000 });
  assert.deepEqual(liveMoment(log.story, log.now + 1_700), { turn: next, ms: 200 });
  assert.equal(liveMoment(log.story, log.now + 3_600), null);
});

test("a turn without a voice is nobody's live moment", () => {
  const log = new Log();
  log.ask("quietly", { speak: false });
  assert.equal(liveMoment(log.story, log.now), null);
});

test("the position is never beyond the length, which grows with what is heard until the turn is over", () => {
  const { log, turn } = twoSentences();
  const at = (ms) => positionIn(log.story.turns[turn], ms);
  assert.deepEqual(at(700), { ms: 700, ofMs: 1_500 });
  assert.deepEqual(at(2_100), { ms: 2_100, ofMs: 2_100 }); // its facts come on another connection than its sound
  log.add("turn.completed", { sentences: 3, audio_ms: 1_500 }, turn);
  assert.deepEqual(at(1_512), { ms: 1_500, ofMs: 1_500 });
});
