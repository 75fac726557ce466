import assert from "node:assert/strict";
import { test } from "node:test";

import { liveMoment } from "../../../web/timeline.js";
import { Log } from "./facts.mjs";

const INPUT = "0b0e1c52-6f1a-4a53-9a39-6a1f2f3c4d5e";

class SpokenLog extends Log {
  open(settings = { record: true }) {
    this.add("input.opened", { input: INPUT, source: "microphone", format: "pcm16", rate: 16_000, settings });
  }

  say(type, utterance, data = {}) {
    this.add(type, { input: INPUT, utterance, ...data });
  }

  askAloud(text, utterances, merges = null) {
    const turn = this.facts.length + 1;
    this.add("turn.requested", { kind: "prompt", text, settings: {}, input: INPUT, utterances, merges }, turn);
    return turn;
  }

  get shown() {
    return this.story.speech.utterances.map(({ state, text, stable }) => [state, text, stable]);
  }
}

test("what is said appears as it is understood, and is a question in the end", () => {
  const log = new SpokenLog();
  log.open();
  assert.deepEqual(Object.keys(log.story.speech.inputs), [INPUT]);
  log.say("speech.started", 0, { at_ms: 900 });
  assert.deepEqual(log.shown, [["speaking", "", 0]]);
  log.say("transcript.partial", 0, { text: "Tell me a", stable: 5, at_ms: 1_500 });
  log.say("transcript.partial", 0, { text: "Tell me about", stable: 8, at_ms: 2_000 });
  assert.deepEqual(log.shown, [["speaking", "Tell me about", 8]]);
  log.say("speech.ended", 0, { start_ms: 900, end_ms: 2_400, at_ms: 2_900, reason: "silence" });
  log.say("transcript.final", 0, { text: "Tell me about foxes.", taken: "turn" });
  assert.deepEqual(log.shown, [["understood", "Tell me about foxes.", 20]]);
  const turn = log.askAloud("Tell me about foxes.", [0]);
  assert.deepEqual(log.shown, []);
  assert.deepEqual(log.story.turns[turn].spoken, { input: INPUT, utterances: [0] });
});

test("a transcript that comes after its question is no second question", () => {
  const log = new SpokenLog();
  log.open();
  log.say("speech.started", 0);
  log.askAloud("Hello?", [0]);
  log.say("speech.ended", 0);
  log.say("transcript.final", 0, { text: "Hello?", taken: "turn" });
  assert.deepEqual(log.shown, []);
});

test("what is cut by its length waits for the rest", () => {
  const log = new SpokenLog();
  log.say("speech.started", 0);
  log.say("transcript.final", 0, { text: "Once upon a time", taken: "kept" });
  log.say("speech.started", 1);
  assert.deepEqual(log.shown, [["kept", "Once upon a time", 16], ["speaking", "", 0]]);
  log.askAloud("Once upon a time there was", [0, 1]);
  assert.deepEqual(log.shown, []);
});

test("a word of agreement, a noise and what was taken back leave nothing", () => {
  for (const end of [
    ["transcript.final", 0, { text: "mm-hm", taken: "backchannel" }],
    ["transcript.final", 0, { text: "", taken: "nothing" }],
    ["speech.discarded", 0, { at_ms: 10 }],
  ]) {
    const log = new SpokenLog();
    log.say("speech.started", 0);
    log.say(...end);
    assert.deepEqual(log.shown, []);
  }
});

test("what could not be understood says so until somebody speaks again", () => {
  const log = new SpokenLog();
  log.say("speech.started", 0);
  log.say("transcript.failed", 0, { mode: "realtime", code: "engine.dead", message: "speech to text died" });
  assert.equal(log.story.speech.utterances[0].message, "speech to text died");
  log.say("speech.started", 1);
  assert.deepEqual(log.shown, [["speaking", "", 0]]);
});

test("a microphone that is closed leaves nobody speaking", () => {
  const log = new SpokenLog();
  log.open();
  log.say("speech.started", 0);
  log.add("input.closed", { input: INPUT, ms: 3_000, reason: "cut" });
  assert.deepEqual([log.shown, log.story.speech.inputs], [[], {}]);
});

test("a turn that was merged into the next is not a turn of its own", () => {
  const log = new SpokenLog();
  const first = log.askAloud("Tell me", [0]);
  log.add("turn.stop_requested", { reason: "merged" }, first);
  const second = log.askAloud("Tell me about foxes", [0, 1], first);
  log.add("turn.stopped", { reason: "merged" }, first);
  assert.deepEqual(log.story.order, [second]);
  assert.equal(log.story.turns[first].stopReason, "merged");
});

test("both ways belong to the turn that they were about, whichever comes first", () => {
  const ways = [{ mode: "realtime", text: "a" }, { mode: "quality", text: "b" }];
  const early = new SpokenLog();
  early.say("transcript.compared", 0, { ways, differences: [] });
  const one = early.askAloud("a", [0]);
  const late = new SpokenLog();
  const other = late.askAloud("a", [0]);
  late.say("transcript.compared", 0, { ways, differences: [] });
  for (const { compared } of [early.story.turns[one], late.story.turns[other]]) {
    assert.deepEqual(compared.map(({ ways: [first] }) => first.text), ["a"]);
  }
});

test("nobody who comes later joins a turn whose sound was dropped", () => {
  const log = new SpokenLog();
  const turn = log.ask("at length");
  log.speak(turn, 0, { start: 0, end: 6, atMs: 0, ms: 60_000 });
  log.add("turn.completed", { sentences: 1, audio_ms: 60_000 }, turn);
  assert.deepEqual(liveMoment(log.story, log.now + 2_000), { turn, ms: 2_000 });
  log.add("playback.paused", { by: "voice" }, null, 2_000);
  assert.equal(log.story.pausedBy, "voice");
  log.add("playback.flushed", { reason: "barge_in" }, turn, 500);
  log.add("playback.resumed", { by: "voice" });
  assert.equal(log.story.pausedBy, null);
  assert.equal(liveMoment(log.story, log.now + 100), null);
  assert.equal(log.story.turns[turn].status, "completed");
});
