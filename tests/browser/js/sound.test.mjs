import assert from "node:assert/strict";
import { test } from "node:test";

import { readOut, soundOf } from "../../../web/stories/sound.js";
import { Log } from "./facts.mjs";

const TEXT = "Once. Twice.";

function silentScene(log = new Log()) {
    const turn = log.ask("?", { speak: false });
    log.add("text.delta", { at: 0, text: TEXT }, turn);
    log.add("text.completed", {}, turn);
    log.add("turn.completed", { sentences: 2, audio_ms: 0 }, turn);
    return { log, turn };
}

/** A narration with so many sentences spoken. */
function narration(spoken, end = null) {
    const log = new Log();
    log.add("turn.requested", { kind: "text", text: TEXT, settings: {} }, 2);
    log.add("text.delta", { at: 0, text: TEXT }, 2);
    for (let number = 0; number < spoken; number += 1) {
        log.speak(2, number, { start: number * 6, end: number * 6 + 6, atMs: number * 400, ms: 400 });
    }
    if (end) log.add(...end, 2);
    return log.story;
}

test("a scene that was only written has no sound", () => {
    const { log, turn } = silentScene();
    const sound = soundOf(log.story.turns[turn]);
    assert.deepEqual([sound.state, sound.ms, sound.error], ["none", 0, null]);
});

test("a scene that is spoken while it is written has its own sound", () => {
    const log = new Log();
    const turn = log.ask("?");
    log.add("text.delta", { at: 0, text: TEXT }, turn);
    assert.equal(soundOf(log.story.turns[turn]).state, "making");
    log.speak(turn, 0, { start: 0, end: 6, atMs: 0, ms: 400 });
    log.add("turn.completed", { sentences: 1, audio_ms: 400 }, turn);
    const sound = soundOf(log.story.turns[turn]);
    assert.deepEqual([sound.session, sound.turn, sound.state, sound.made, sound.ms], [null, turn, "ready", 1, 400]);
});

test("a narration shows how far it is before the story knows", () => {
    const { log, turn } = silentScene();
    log.add("narration.requested", { session: "n1", by: "auto" }, turn);
    const scene = log.story.turns[turn];
    assert.equal(soundOf(scene, null).state, "making");
    const half = soundOf(scene, narration(1));
    assert.deepEqual([half.session, half.turn, half.state, half.made, half.ms], ["n1", 2, "making", 1, 400]);
    const whole = soundOf(scene, narration(2, ["turn.completed", { sentences: 2, audio_ms: 800 }]));
    assert.deepEqual([whole.state, whole.made, whole.ms], ["ready", 2, 800]);
});

test("news of an older narration changes nothing", () => {
    const { log, turn } = silentScene();
    log.add("narration.requested", { session: "n1", by: "user" }, turn);
    log.add("narration.requested", { session: "n2", by: "user" }, turn);
    log.add("narration.failed", { session: "n1", code: "x", message: "too late" }, turn);
    assert.equal(soundOf(log.story.turns[turn]).state, "making");
    log.add("narration.ready", { session: "n2", chunks: 2, audio_ms: 800 }, turn);
    assert.deepEqual([soundOf(log.story.turns[turn]).state, soundOf(log.story.turns[turn]).ms], ["ready", 800]);
});

test("a narration that failed says why, one that was stopped does not", () => {
    for (const [code, state, message] of [
        ["engine.failed", "failed", "no voice"],
        ["narration.stopped", "none", undefined],
    ]) {
        const { log, turn } = silentScene();
        log.add("narration.requested", { session: "n1", by: "user" }, turn);
        log.add("narration.failed", { session: "n1", code, message: "no voice" }, turn);
        const sound = soundOf(log.story.turns[turn]);
        assert.deepEqual([sound.state, sound.error?.message], [state, message]);
    }
});

test("a second reading that failed leaves the first sound", () => {
    const log = new Log();
    const turn = log.ask("?");
    log.add("text.delta", { at: 0, text: TEXT }, turn);
    log.speak(turn, 0, { start: 0, end: 6, atMs: 0, ms: 400 });
    log.add("turn.completed", { sentences: 1, audio_ms: 400 }, turn);
    log.add("narration.requested", { session: "n1", by: "user" }, turn);
    log.add("narration.failed", { session: "n1", code: "x", message: "no voice" }, turn);
    const sound = soundOf(log.story.turns[turn]);
    assert.deepEqual([sound.session, sound.state, sound.error.message], [null, "ready", "no voice"]);
});

test("the text stays the scene's, the sentences become those of the reading", () => {
    const { log, turn } = silentScene();
    log.add("narration.requested", { session: "n1", by: "auto" }, turn);
    const scene = log.story.turns[turn];
    const shown = readOut(scene, soundOf(scene, narration(2)));
    assert.equal(shown.text, TEXT);
    assert.deepEqual(
        shown.sentences.map(({ start, end }) => [start, end]),
        [
            [0, 6],
            [6, 12],
        ],
    );
});
