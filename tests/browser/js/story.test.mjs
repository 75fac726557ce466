import assert from "node:assert/strict";
import { test } from "node:test";

import { whatIsDone } from "../../../web/doing.js";
import { answerIn, emptyStory, forkPointOf, isOver, nameIn, orderWith, playClock, reduce, runningTurn, textOf, titleIn, versionsOf } from "../../../web/story.js";
import { Log } from "./facts.mjs";

function deepFreeze(value) {
  if (value && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

test("facts without a name are the owner's, where others take part and the session is no copy", () => {
  const begun = (data, ...later) => {
    const log = new Log();
    log.add("session.started", { settings: {}, principal: "anna", ...data });
    log.ask("Well?");
    for (const [type, rest] of later) log.add(type, rest);
    return nameIn(log.story, "");
  };
  const joined = ["member.added", { principal: "bob" }];
  assert.equal(begun({}), "");
  assert.equal(begun({}, joined), "anna");
  assert.equal(begun({}, joined, ["member.removed", { principal: "bob" }]), "");
  assert.equal(begun({}, joined, ["owner.changed", { epoch: 2, node: "b" }]), "anna"); // another gateway runs it
  assert.equal(begun({ parent: "other" }, joined), "");
  assert.equal(nameIn({ members: [], order: [], turns: {} }, "bob"), "bob");
});

test("a fork after an answer ends before a question that interrupted it", () => {
  const log = new Log();
  const first = log.ask("The tides?");
  log.add("text.delta", { at: 0, text: "The moon" }, first);
  const second = log.ask("And the wind?");
  log.add("turn.stopped", { chars: 8, reason: "client" }, first);
  log.add("turn.completed", { chars: 0, finish: "stop" }, second);
  const { turns } = log.story;
  assert.ok(turns[first].endSeq > second);
  assert.equal(forkPointOf(log.story, turns[first]), second - 1);
  assert.equal(forkPointOf(log.story, turns[second]), turns[second].endSeq);
});

test("however the text is cut into deltas, it is the same text", () => {
  const text = "Der Fuchs 🦊 schläft. The keeper 漢 wakes.";
  const characters = [...text];
  for (const size of [1, 2, 3, 7, 100]) {
    const log = new Log();
    const turn = log.ask("?");
    for (let at = 0; at < characters.length; at += size) {
      log.add("text.delta", { at, text: characters.slice(at, at + size).join("") }, turn);
    }
    const told = log.story.turns[turn];
    assert.equal(told.text, text);
    assert.equal(textOf(told, { start: 10, end: 11 }), "🦊");
    assert.equal(textOf(told, { start: 20, end: 32 }), " The keeper ");
  }
});

test("a state is never changed, only replaced", () => {
  const log = new Log();
  const turn = log.ask("?");
  log.add("text.delta", { at: 0, text: "Once. Twice." }, turn);
  log.speak(turn, 0, { start: 0, end: 6, atMs: 0, ms: 400 });
  log.add("playback.paused");
  log.add("playback.resumed");
  log.add("turn.completed", { sentences: 1, audio_ms: 400 }, turn);
  let story = deepFreeze(emptyStory());
  for (const fact of log.facts) story = deepFreeze(reduce(story, deepFreeze(fact)));
  assert.equal(story.turns[turn].status, "completed");
});

test("facts of types we do not know only move the cursor", () => {
  const log = new Log();
  const before = log.story;
  log.add("weather.changed", { to: "rain" });
  log.add("constructor", {});
  assert.equal(log.story.lastSeq, before.lastSeq + 2);
  assert.deepEqual(log.story.turns, before.turns);
});

test("a turn runs from its start to its one terminal fact", () => {
  const log = new Log();
  const first = log.ask("one");
  assert.equal(runningTurn(log.story).id, first);
  const second = log.facts.length + 1;
  log.add("turn.requested", { kind: "text", text: "two", settings: { speak: false } }, second);
  assert.equal(log.story.turns[second].status, "queued");
  assert.equal(log.story.turns[second].speak, false);
  log.add("turn.stop_requested", { reason: "user" }, first);
  assert.equal(log.story.turns[first].status, "stopping");
  log.add("turn.stopped", { reason: "user" }, first);
  assert.ok(isOver(log.story.turns[first]));
  assert.equal(runningTurn(log.story), null);
});

test("a stop that comes after the end ends the sound, and the turn stays complete", () => {
  const log = new Log();
  const turn = log.ask("one");
  log.add("turn.completed", { sentences: 1, audio_ms: 500 }, turn);
  log.add("turn.stop_requested", { reason: "user" }, turn);
  const { status, flushedAt } = log.story.turns[turn];
  assert.equal(status, "completed");
  assert.notEqual(flushedAt, null);
});

test("a failure keeps its words for the reader", () => {
  const log = new Log();
  const turn = log.ask("?");
  log.add("turn.failed", { stage: "text", code: "engine.dead", message: "the model died" }, turn);
  assert.deepEqual(log.story.turns[turn].error, { code: "engine.dead", message: "the model died" });
});

test("the play clock stands still during a pause, and asking ends the pause", () => {
  const log = new Log();
  log.add("playback.paused", {}, null, 100);
  const paused = playClock(log.story, log.now);
  assert.equal(playClock(log.story, log.now + 5_000), paused);
  log.now += 5_000;
  log.ask("go on");
  assert.equal(log.story.pausedAt, null);
  assert.equal(playClock(log.story, log.now + 40), paused + 40);
});

test("the list of facts is bounded", () => {
  const log = new Log();
  const turn = log.ask("?");
  for (let at = 0; at < 500; at += 1) log.add("text.delta", { at, text: "x" }, turn);
  assert.ok(log.story.log.length <= 200);
  assert.equal(log.story.log.at(-1).seq, log.facts.length);
});

test("a turn that tells the result of a function has that result, not the words for the model", () => {
  const log = new Log();
  const turn = log.ask("When does the ferry leave?");
  const told = (type, data) => {
    log.add(type, { call: "1", ...data }, turn);
    const telling = log.facts.length + 1;
    log.add("turn.requested", { kind: "prompt", text: "The function ferry({}) …", settings: {}, result_of: turn }, telling);
    return log.story.turns[telling].result;
  };
  assert.equal(told("tool.completed", { output: "At nine." }), "At nine.");
  assert.equal(told("tool.failed", { message: "The harbour is closed." }), "The harbour is closed.");
  assert.equal(log.story.turns[turn].result, null);
});

test("the skip of a sentence that is not there leaves no holes", () => {
  const log = new Log();
  const turn = log.ask("?");
  log.add("text.delta", { at: 0, text: "One. Two." }, turn);
  log.speak(turn, 0, { start: 0, end: 5, atMs: 0, ms: 500 });
  log.add("sentence.skip_requested", { sentence: 1_000_000 }, turn);
  assert.equal(log.story.turns[turn].sentences.length, 1);
  log.speak(turn, 1, { start: 5, end: 9, atMs: 500, ms: 500 });
  log.add("sentence.skip_requested", { sentence: 1 }, turn);
  assert.deepEqual(log.story.turns[turn].sentences.map(({ skipped }) => skipped), [false, true]);
});

/** A chat in which these were asked and answered, in the notation `question` or [question, the turn it replaces]. */
function chat(...asked) {
  const log = new Log();
  const turns = asked.map((one) => answered(log, ...[one].flat()));
  return { log, turns };
}

function answered(log, text, replaces, { words = "So it is.", end = "turn.completed" } = {}) {
  const turn = log.facts.length + 1;
  log.add("turn.requested", { kind: "prompt", text, settings: {}, ...(replaces && { replaces }) }, turn);
  if (words) log.add("text.delta", { at: 0, text: words }, turn);
  if (end) log.add(end, end === "turn.failed" ? { code: "engine.failed", message: "no words" } : {}, turn);
  return turn;
}

test("another version of a question takes its place, and what followed the old one stays with that", () => {
  const { log, turns: [first, second, third] } = chat("One?", "Two?", "Three?");
  const edited = answered(log, "Two, rather?", second);
  const after = answered(log, "And then?");
  const again = answered(log, "And then?", after);
  const { story } = log;
  assert.deepEqual(story.order, [first, edited, again]);
  assert.deepEqual(versionsOf(story, story.turns[edited]), [second, edited]);
  assert.deepEqual(versionsOf(story, story.turns[first]), [first]);
  const looked = (...chosen) => orderWith(story, new Map(chosen.map((turn) => [story.turns[turn].place, turn])));
  assert.equal(looked(), story.order);
  assert.deepEqual(looked(second), [first, second, third]);
  assert.deepEqual(looked(after), [first, edited, after]);
  assert.deepEqual(looked(second, after), [first, second, third]);
});

for (const [place, isKept] of [["client", true], ["server", false]]) {
  test(`a version without a word that called a function of the ${place} ${isKept ? "keeps" : "gives back"} its place`, () => {
    const { log, turns: [first] } = chat("One?");
    const calls = answered(log, "One, again?", first, { words: "", end: null });
    log.add("tool.called", { call: "c", name: "look", arguments: "{}", place, round: 0, at: 0 }, calls);
    log.add("turn.completed", {}, calls);
    assert.deepEqual(log.story.order, [isKept ? calls : first]);
  });
}

test("a version that ends without a word gives its place back, one that has words keeps it", () => {
  const { log, turns: [first, second] } = chat("One?", "Two?");
  const waits = answered(log, "One, again?", first, { words: "", end: null });
  const later = answered(log, "Three?");
  log.add("turn.failed", { code: "engine.failed", message: "no words" }, waits);
  assert.deepEqual(log.story.order, [first, second, later]);
  assert.equal(log.story.turns[first].replacing.message, "no words");
  const stopped = answered(log, "Three, again?", later, { end: "turn.stopped" });
  assert.deepEqual(log.story.order, [first, second, stopped]);
  const empty = answered(log, "Three, once more?", stopped, { words: "", end: "turn.stopped" });
  assert.deepEqual(log.story.order, [first, second, stopped]);
  assert.deepEqual(versionsOf(log.story, log.story.turns[stopped]), [later, stopped, empty]);
  assert.deepEqual(orderWith(log.story, new Map([[first, waits]])), [first, waits].slice(1));
});

test("a turn that was merged into another is no version of it", () => {
  const { log, turns: [first] } = chat("One?");
  const half = answered(log, "What about", undefined, { end: "turn.stopped" });
  log.add("turn.requested", { kind: "prompt", text: "What about Two?", settings: {}, merges: half }, log.facts.length + 1);
  const whole = log.facts.length;
  assert.deepEqual(log.story.order, [first, whole]);
  assert.deepEqual(versionsOf(log.story, log.story.turns[whole]), [whole]);
});

test("what is done for a question names the documents until they were searched, or could not be", () => {
  const done = (settings, ...facts) => {
    const log = new Log();
    const turn = log.ask("Well?", settings);
    for (const [type, data] of facts) log.add(type, data, turn);
    return whatIsDone(log.story, null, { paused: false, buffering: false });
  };
  const searching = { speak: true, collections: ["019a"] };
  assert.equal(done({ speak: true }), "Thinking…");
  assert.equal(done(searching), "Searching the documents…");
  assert.equal(done(searching, ["passages.found", { passages: [] }]), "Thinking…");
  assert.equal(done(searching, ["passages.failed", { message: "The shelf fell down." }]), "Thinking…");
});

test("turns that go on with an answer are one with it, until another question comes", () => {
  const log = new Log();
  const first = log.ask("How are **tides** made?");
  const goOn = (before) => {
    const turn = log.facts.length + 1;
    log.add("turn.requested", { kind: "prompt", text: "Continue.", settings: {}, continues: before }, turn);
    return turn;
  };
  const further = goOn(first);
  const end = goOn(further);
  const other = log.ask("Really?");
  const { story } = log;
  assert.deepEqual(story.order, [first, further, end, other]);
  assert.deepEqual([0, 1, 2].map((number) => answerIn(story, story.order, number)), Array(3).fill({ first: 0, last: 2 }));
  assert.deepEqual(answerIn(story, story.order, 3), { first: 3, last: 3 });
  assert.equal(titleIn(story), "How are tides made?");
});
