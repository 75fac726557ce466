import assert from "node:assert/strict";
import { test } from "node:test";

import { figures, marked, verdict } from "../../../web/microphone/comparison.js";
import { assistantDoes, whatIsDone } from "../../../web/doing.js";
import { current, stateOf } from "../../../web/microphone/state.js";

const shown = (runs) => runs.map(({ text, differs }) => (differs ? `[${text}]` : text)).join(" ");

test("words that differ are marked on both sides, case and punctuation are no difference", () => {
  const [left, right] = marked("And Mister John Dashwood had then, leisure", "and mister jon dashwood had then leisure to");
  assert.equal(shown(left), "And Mister [John] Dashwood had then, leisure");
  assert.equal(shown(right), "and mister [jon] dashwood had then leisure [to]");
});

test("the same text is one run without a mark, and no text is no run", () => {
  assert.deepEqual(marked("a b", "A, b."), [[{ text: "a b", differs: false }], [{ text: "A, b.", differs: false }]]);
  assert.deepEqual(marked("", "hello"), [[], [{ text: "hello", differs: true }]]);
});

test("every word is shown, however the texts differ", () => {
  const texts = ["one two three four", "two one four three five", "", "x", "— one — two —", "one one one two"];
  for (const one of texts) {
    for (const other of texts) {
      const [left, right] = marked(one, other);
      assert.equal(left.map(({ text }) => text).join(" "), one);
      assert.equal(right.map(({ text }) => text).join(" "), other);
    }
  }
});

test("figures that an engine does not know are left out", () => {
  assert.deepEqual(figures({ after_ms: 412.4, decode_ms: 0, cpu_ms: 0, revisions: 1 }), [
    ["Text after", "412 ms"],
    ["Taken back", "1 word"],
  ]);
  assert.deepEqual(figures({ after_ms: 1_412, decode_ms: 3, cpu_ms: 2, revisions: 0, word_errors: 0 }).at(-1), [
    "Word errors",
    "0",
  ]);
});

test("the verdict counts places, not words", () => {
  assert.equal(verdict({ differences: [], words: 4 }), "Both ways understood the same");
  assert.match(verdict({ differences: [{ left: "a b", right: "c" }], words: 9 }), /one place, of 9 words/);
});

const LIVE = { phase: "on", line: "live", muted: false, manual: false, holding: false, input: "i" };
const said = (state, input = "i", ts = 0) => ({ key: `${input}:0`, input, state, ts });

test("the state says what matters most", () => {
  const name = (status, utterances = [], does = null) => stateOf({ ...LIVE, ...status }, utterances, does).name;
  assert.equal(name({}), "listening");
  assert.equal(name({ phase: "off" }), "off");
  assert.equal(name({ line: "reconnecting" }, [said("speaking")]), "reconnecting");
  assert.equal(name({ muted: true }), "muted");
  assert.equal(name({}, [said("speaking")], "speaking"), "hearing");
  assert.equal(name({}, [said("speaking", "another")]), "listening");
  assert.equal(name({}, [said("understanding")]), "understanding");
  assert.equal(name({}, [], "thinking"), "thinking");
  assert.equal(name({ muted: true }, [], "speaking"), "muted");
  assert.equal(name({ manual: true }), "ready");
  assert.equal(name({ manual: true, holding: true }), "hearing");
});

test("the words are those of the conversation", () => {
  const words = (status, does) => stateOf({ ...LIVE, ...status }, [], does).words;
  assert.deepEqual(
    [null, "thinking", "speaking", "paused"].map((does) => words({}, does)),
    ["Listening", "Thinking…", "Speaking", "Paused"],
  );
  assert.equal(words({ muted: true }, "speaking"), "Muted · Speaking");
});

test("the assistant thinks until there is sound, and writes where nothing is read out", () => {
  const running = { status: "running", text: "", speak: true, overAt: null };
  const story = (turn) => ({ order: [1], turns: { 1: turn } });
  const does = (turn, heard, how = {}) => assistantDoes(story(turn), heard, { paused: false, wantsVoice: true, ...how });
  assert.equal(does(running, null), "thinking");
  assert.equal(does({ ...running, searches: true }, null), "searching");
  assert.equal(does({ ...running, text: "The lamp" }, null), "thinking");
  assert.equal(does({ ...running, text: "The lamp" }, null, { wantsVoice: false }), "writing");
  assert.equal(does({ ...running, status: "completed", overAt: 1 }, { audioMs: 900 }), "speaking");
  assert.equal(does({ ...running, status: "completed", overAt: 1 }, { audioMs: 900 }, { paused: true }), "paused");
  assert.equal(does({ ...running, status: "completed", overAt: 1 }, null), null);
});

test("a pause, a stop and sound that is late are told in words", () => {
  const turn = { status: "running", text: "The lamp", audioMs: 900, overAt: null };
  const story = { order: [1], turns: { 1: turn }, pausedBy: null };
  const done = (how, of = story) => whatIsDone(of, turn, { paused: false, buffering: false, ...how });
  assert.equal(done({}), "");
  assert.equal(done({ buffering: true }), "Buffering…");
  assert.equal(done({ paused: true }), "Paused");
  assert.equal(done({ paused: true }, { ...story, pausedBy: "voice" }), "Paused while you speak");
  assert.equal(done({}, { ...story, turns: { 1: { ...turn, status: "stopping" } } }), "Stopping…");
});

test("who was never heard of again is not speaking for ever, but notes stay", () => {
  const utterances = [said("speaking"), said("noted"), said("failed")];
  assert.equal(current({ utterances }, 1_000).length, 3);
  assert.deepEqual(current({ utterances }, 100_000).map(({ state }) => state), ["noted", "failed"]);
});

test("texts that no utterance has are not compared word by word, and differ as a whole", () => {
  const [text, same] = ["so ".repeat(3_000).trim(), "So, ".repeat(3_000).trim()];
  assert.deepEqual(marked(text, same), [[{ text, differs: false }], [{ text: same, differs: false }]]);
  const other = "no ".repeat(3_000).trim();
  assert.deepEqual(marked(text, other), [[{ text, differs: true }], [{ text: other, differs: true }]]);
});
