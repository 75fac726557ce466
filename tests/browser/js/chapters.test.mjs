import assert from "node:assert/strict";
import { test } from "node:test";

import { isOver, latestTurn } from "../../../web/story.js";
import { Chapters, chapterAt } from "../../../web/stories/chapters.js";
import { paragraphsOf, partsOf, voicesBy } from "../../../web/stories/scene-changes.js";
import { Log } from "./facts.mjs";

/** A story of these scenes, `{ask, ms}` each. */
function told(...scenes) {
  const log = new Log();
  log.add("session.started", { kind: "story", settings: {} });
  for (const { ask, ms } of scenes) write(log, ask, { ms });
  return log;
}

function write(log, ask, { ms = 0, replaces, end = "turn.completed" } = {}) {
  const turn = log.facts.length + 1;
  log.add("turn.requested", { kind: "prompt", text: ask, settings: {}, ...(replaces && { replaces }) }, turn);
  log.add("text.delta", { at: 0, text: "Once." }, turn);
  if (ms) log.speak(turn, 0, { start: 0, end: 5, atMs: 0, ms });
  if (end) log.add(end, end === "turn.failed" ? { code: "engine.failed", message: "no words" } : {}, turn);
  return turn;
}

/** Chapters of it; `done` has what was asked of the player. */
function chapters({ story }, heardScene = null) {
  const done = [];
  const said = (name) => (...rest) => done.push([name, ...rest]);
  const msOf = (scene) => story.turns[scene].audioMs;
  const voices = { story, heardScene, msOf, hear: said("hear"), seek: said("seek"), narrate: said("narrate") };
  return { player: new Chapters(voices), done };
}

const THREE = [
  { ask: "The keeper", ms: 400 },
  { ask: "Write the next scene of the story.", ms: 0 },
  { ask: "The fox", ms: 10_000 },
];

test("scenes follow each other in one recording, and those without sound take no time", () => {
  const log = told(...THREE);
  const { player } = chapters(log, { scene: log.story.order[2], ms: 100 });
  const { list, current, ms, ofMs } = player.now();
  assert.deepEqual(list.map(({ number, name, atMs }) => [number, name, atMs]), [[1, "The keeper", 0], [2, "", 400], [3, "The fox", 400]]);
  assert.deepEqual([current.number, ms, ofMs], [3, 500, 10_400]);
  assert.deepEqual([0, 399, 400, 9_999].map((at) => chapterAt(list, at).number), [1, 1, 3, 3]);
  assert.equal(chapters(told(THREE[0], THREE[1])).player.now(), null, "one that can be heard is no choice");
});

test("the bar, the list and the buttons lead to chapters", () => {
  const log = told(...THREE);
  const [first, second, third] = log.story.order;
  const heard = { scene: third, ms: 100 };
  const { player, done } = chapters(log, heard);
  player.seek(2_400);
  player.seek(300);
  player.go(second);
  player.go(first);
  player.step(1);
  player.step(-1);
  heard.ms = 4_000;
  player.step(-1);
  assert.deepEqual(done, [
    ["seek", 2_000],
    ["hear", first, 300],
    ["narrate", second, false],
    ["hear", first, 0],
    ["hear", first, 0],
    ["hear", third, 0],
  ]);
  assert.deepEqual([player.after(first), player.after(second), player.after(third), player.after(99)], [third, third, null, null]);
});

test("a scene written again stands in its place, and gives it back if it fails", () => {
  const log = told(...THREE);
  const [first, second, third] = log.story.order;
  const again = write(log, "Something else", { replaces: second });
  assert.deepEqual(log.story.order, [first, again, third]);
  assert.equal(latestTurn(log.story).id, again);
  const failed = write(log, "And again", { replaces: again, end: "turn.failed" });
  assert.deepEqual(log.story.order, [first, again, third]);
  assert.equal(log.story.turns[again].replacing.message, "no words");
  const running = write(log, "Once more", { replaces: second, end: null });
  assert.deepEqual(log.story.order, [first, running, third]);
  log.add("turn.stopped", { reason: "user" }, running);
  assert.deepEqual(log.story.order, [first, again, third]);
  assert.equal(log.story.turns[again].replacing, null);
  const overtaken = write(log, "And once more", { replaces: second, end: null });
  const latest = write(log, "The last one", { replaces: second });
  log.add("turn.failed", { code: "engine.failed", message: "no words" }, overtaken);
  assert.deepEqual([log.story.order, log.story.turns[latest].replacing], [[first, latest, third], null]);
  assert.ok([failed, running].every((turn) => isOver(log.story.turns[turn])));
});

test("of scenes that failed the first one stands", () => {
  const log = told();
  const first = write(log, "The keeper", { end: "turn.failed" });
  write(log, "Again", { replaces: first, end: "turn.failed" });
  assert.deepEqual(log.story.order, [first]);
  const good = write(log, "Again", { replaces: first });
  assert.deepEqual(log.story.order, [good]);
});

test("paragraphs have their places in characters, as the log counts them, and keep their voices", () => {
  const text = "  Der Fuchs 🦊 schläft.\nNoch.\n\n \nThe keeper wakes. \n\n漢";
  const paragraphs = paragraphsOf(text);
  const letters = [...text];
  const words = paragraphs.map(({ start, end }) => letters.slice(start, end).join(""));
  assert.deepEqual(words, ["Der Fuchs 🦊 schläft.\nNoch.", "The keeper wakes.", "漢"]);
  const parts = partsOf(paragraphs, ["", "alto", "joe"]);
  assert.deepEqual(parts.map(({ voice }) => voice), ["alto", "joe"]);
  assert.deepEqual(voicesBy(paragraphs, parts), ["", "alto", "joe"]);
  const marks = parts.map(({ start, end, voice }) => ({ start, end, kind: "voice", value: voice }));
  assert.deepEqual(voicesBy(paragraphs, marks), ["", "alto", "joe"]);
  assert.deepEqual(paragraphsOf(" \n\n "), []);
  const far = `One.${" ".repeat(300_000)}\nStill.`; // a scene may be as long
  assert.deepEqual(paragraphsOf(far), [{ start: 0, end: far.length, words: far }]);
});
