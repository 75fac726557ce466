import assert from "node:assert/strict";
import { test } from "node:test";

import { codeFor, latencyOf, matching, timingsOf, usageOf } from "../../../web/developer-facts.js";
import { Log } from "./facts.mjs";

function answered(log, turn) {
  log.add("text.delta", { at: 0, text: "Yes. And then" }, turn, 200);
  log.add("text.completed", { chars: 4, finish: "length", provider: "local", model: "fox", tokens_in: 9, tokens_out: 3 }, turn);
  log.speak(turn, 0, { start: 0, end: 4, atMs: 0, ms: 600 });
  log.add("playback.heard", { heard_ms: 100 }, turn, 400);
  return log.story.turns[turn];
}

test("a typed turn is counted from the question", () => {
  const log = new Log();
  const turn = answered(log, log.ask("Well?"));
  assert.deepEqual(latencyOf(turn), [["asked", 0], ["first token", 200], ["first audio", 200], ["heard", 500]]);
});

test("a spoken turn is counted from the end of the speech", () => {
  const log = new Log();
  const spoken = { input: "i", utterance: 0 };
  log.add("speech.started", spoken);
  log.add("speech.ended", spoken, null, 900);
  log.add("transcript.final", { ...spoken, text: "Well?", taken: "turn" }, null, 250);
  const turn = log.facts.length + 1;
  log.add("turn.requested", { kind: "prompt", text: "Well?", settings: {}, input: "i", utterances: [0] }, turn, 50);
  assert.deepEqual(latencyOf(log.story.turns[turn]), [
    ...[["speech end", 0], ["transcript", 250]],
    ...[["first token", null], ["first audio", null], ["heard", null]],
  ]);
  assert.equal(latencyOf(answered(log, turn))[2][1], 500);
});

test("what a turn took is told, and an answer that was cut ends where its text stands", () => {
  const log = new Log();
  const turn = answered(log, log.ask("Well?"));
  assert.equal(turn.text, "Yes.");
  assert.ok(turn.cut);
  assert.deepEqual(usageOf(turn), [
    ...[["Status", "running"], ["Model", "local · fox"], ["Tokens", "9 in, 3 out"]],
    ...[["Voice", "joe"], ["Speech", "4 characters, 0.6 s"]],
  ]);
  assert.deepEqual(latencyOf(undefined), []);
  assert.deepEqual(usageOf(undefined), []);
});

test("the turns of a session are compared, with their median", () => {
  const log = new Log();
  answered(log, log.ask("Well?"));
  answered(log, log.ask("And then?"));
  log.ask("And now?");
  assert.deepEqual(timingsOf(log.story), {
    rows: [["1", 200, 200, 500], ["2", 200, 200, 500], ["3", null, null, null]],
    median: [200, 200, 500],
  });
});

test("every version of an answer is compared, and so is what followed one that was replaced", () => {
  const log = new Log();
  const again = (replaces) => {
    const turn = log.facts.length + 1;
    log.add("turn.requested", { kind: "prompt", text: "?", settings: {}, replaces }, turn);
    answered(log, turn);
    log.add("turn.completed", { sentences: 1, audio_ms: 600 }, turn);
    return turn;
  };
  const first = again();
  const second = again(first);
  again(); // is left behind by the third version
  again(second);
  again();
  const names = timingsOf(log.story).rows.map(([name]) => name);
  assert.deepEqual(names, ["1 (1/3)", "1 (2/3)", "2", "1 (3/3)", "2"]);
});

test("events are found by type, turn and text, all words of the filter together", () => {
  const log = new Log();
  const turn = log.ask("Well?");
  answered(log, turn);
  const found = (words) => matching(log.story.log, words, log.story.order).map(({ type }) => type);
  assert.deepEqual(found("text.delta"), ["text.delta"]);
  assert.deepEqual(found("turn:1 FOX"), ["text.completed"]);
  assert.deepEqual(found("turn:2"), []);
  log.ask("And then?");
  assert.deepEqual(found("turn:2"), ["turn.requested", "turn.started"]);
  assert.equal(found(" ").length, log.facts.length);
  assert.deepEqual(found("text.delta fox"), []);
});

for (const language of ["curl", "Python", "JavaScript"]) {
  test(`the code in ${language} names the server and the session`, () => {
    const code = codeFor(language, { origin: "http://127.0.0.1:8000", session: "abc" });
    assert.match(code, /http:\/\/127\.0\.0\.1:8000\/v1\/sessions\/abc\/turns/);
    assert.match(codeFor(language, { origin: "http://x", session: undefined }), /SESSION_ID/);
  });
}

test("an address in the code ends no string of it, whatever the page's own address names as its session", () => {
  const session = "x'; rm -rf ~ `id` $(id) ${id} \"";
  for (const language of ["curl", "Python", "JavaScript"]) {
    const code = codeFor(language, { origin: "http://x", session });
    const [, rest] = code.split("/v1/sessions/");
    assert.match(rest, /^[\w.~%()-]+\/turns['"]/);
  }
});
