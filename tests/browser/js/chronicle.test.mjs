import assert from "node:assert/strict";
import { test } from "node:test";

import { Chronicle, heardSpans, latencies, moments, throughPauses } from "../../../web/history/chronicle.js";
import { ticks } from "../../../web/history/picture.js";
import { changesIn } from "../../../web/settings/changes.js";
import { valueOf } from "../../../web/settings/extra.js";
import { Log } from "./facts.mjs";

const told = (log) => {
    const chronicle = new Chronicle();
    log.facts.forEach((fact) => chronicle.take(fact));
    return chronicle;
};

/** Asked at 0; words from 100 ms to 900 ms; two sentences of a second each, made at 300 ms and 500 ms. */
function answered(log = new Log()) {
    const turn = log.ask("?");
    log.add("text.delta", { at: 0, text: "One. Two." }, turn, 100);
    for (const number of [0, 1]) {
        log.add("sentence.ready", { sentence: number, start: 0, end: 4, spoken: "…" }, turn, number ? 150 : 150);
        log.add("sentence.voiced", { sentence: number, voice: "joe", at_ms: number * 1000 }, turn);
        log.add("audio.chunk", { sentence: number, chunk: 0, at_ms: number * 1000, ms: 1000 }, turn, 50);
        log.add("sentence.completed", { sentence: number, at_ms: number * 1000, ms: 1000 }, turn);
    }
    log.add("text.completed", { chars: 9 }, turn, 400);
    return { log, turn };
}

test("latencies count from the request", () => {
    const { log, turn } = answered();
    log.add("turn.completed", { sentences: 2, audio_ms: 2000 }, turn, 10);
    const [first] = told(log).turns;
    assert.deepEqual(latencies(first), [
        ["first words", 100],
        ["first sound", 300],
        ["last words", 900],
        ["total", 910],
    ]);
});

test("what is not known yet is left out", () => {
    const log = new Log();
    log.ask("?");
    assert.deepEqual(latencies(told(log).turns[0]), []);
});

test("a patient listener hears one sentence after the other", () => {
    const { log, turn } = answered();
    const spans = heardSpans(told(log)).get(turn);
    const zero = told(log).turns[0].requestedAt;
    assert.deepEqual(
        spans.map(({ from, to }) => [from - zero, to - zero]),
        [
            [300, 1300],
            [1300, 2300],
        ],
    );
});

test("the next turn is heard when the one before has been", () => {
    const { log } = answered();
    const { turn } = answered(log);
    const spans = heardSpans(told(log));
    assert.equal(spans.get(turn)[0].from, [...spans.values()][0].at(-1).to);
});

test("nothing sounds during a pause", () => {
    assert.deepEqual(throughPauses(0, 1000, []), { from: 0, to: 1000 });
    assert.deepEqual(throughPauses(0, 1000, [{ from: 400, to: 600 }]), { from: 0, to: 1200 });
    assert.deepEqual(throughPauses(500, 1000, [{ from: 400, to: 600 }]), { from: 600, to: 1600 });
    assert.deepEqual(throughPauses(0, 1000, [{ from: 2000, to: 3000 }]), { from: 0, to: 1000 });
    assert.deepEqual(
        throughPauses(0, 1000, [
            { from: 100, to: 200 },
            { from: 300, to: 400 },
        ]),
        { from: 0, to: 1200 },
    );
});

test("takeovers, pauses and mishaps are told in their order", () => {
    const { log, turn } = answered();
    log.add("playback.paused", {}, null, 10);
    log.add("playback.resumed", {}, null, 10);
    log.add("owner.changed", { epoch: 2, node: "b" }, null, 10);
    log.add("turn.resumed", { epoch: 2, node: "b", chars: 9, sentences: 1 }, turn, 1);
    log.add("sentence.failed", { sentence: 1, code: "x", message: "hoarse" }, turn, 1);
    log.add("turn.completed", { sentences: 2, audio_ms: 2000 }, turn, 10);
    const chronicle = told(log);
    const what = moments(chronicle.turns[0], chronicle, heardSpans(chronicle).get(turn)).map((one) => one.what);
    assert.deepEqual(what, [
        "Asked",
        "Started",
        "First words",
        "First sound",
        "Last words",
        "Paused",
        "Resumed",
        "Moved to b",
        "Taken over by b",
        "Sentence 2 was not spoken: hoarse",
        "Complete",
        "Heard to the end",
    ]);
});

test("an axis has a handful of round moments", () => {
    for (const ms of [3, 90, 1_000, 2_345, 14_000, 61_000, 3_600_000]) {
        const marks = ticks(ms);
        assert.ok(marks.length >= 2 && marks.length <= 9, `${ms}: ${marks}`);
        assert.ok(marks.at(-1) <= ms);
    }
});

test("a change names what differs from before", () => {
    const base = { speech_speed: 1, default_voice: null };
    const history = [
        { changed_ms: 1, preferences: base },
        { changed_ms: 2, preferences: { ...base, speech_speed: 1.5 } },
    ];
    assert.deepEqual(
        changesIn(history).map(({ changes }) => changes),
        [[], [{ name: "Speed", value: "1.5" }]],
    );
});

test("parameters are numbers and truth values where they look like them", () => {
    assert.deepEqual(["0.7", "-2", "1e3", "true", "false", "warm", "1.2.3", ""].map(valueOf), [
        0.7,
        -2,
        1000,
        true,
        false,
        "warm",
        "1.2.3",
        "",
    ]);
});

test("what was said by voice is told in words, and what comes too often is not", () => {
    const log = new Log();
    const input = "i";
    log.add("input.opened", { input, source: "microphone", at_ms: 0 });
    log.add("input.audio", { input, at_ms: 0, ms: 500 });
    log.add("speech.started", { input, utterance: 0, at_ms: 300 });
    log.add("transcript.partial", { input, utterance: 0, text: "Hello", stable: 0 });
    log.add("speech.ended", { input, utterance: 0, start_ms: 300, end_ms: 1_500, reason: "silence" });
    log.add("transcript.final", { input, utterance: 0, text: "Hello?", mode: "realtime", taken: "turn", after_ms: 312.4 });
    const ways = [{ mode: "realtime", after_ms: 312.4 }, { mode: "quality", after_ms: 900 }];
    log.add("transcript.compared", { input, utterance: 0, ways, words: 1, differences: [] });
    log.add("playback.paused", { by: "voice" });
    log.add("playback.resumed", { by: "voice" });
    log.add("input.closed", { input, ms: 2_000, reason: "client" });
    assert.deepEqual(told(log).moments.map(({ what }) => what), [
        "Begun",
        "Input opened: a microphone",
        "Speech started (utterance 1)",
        "Speech ended: utterance 1, 1.2 s",
        "Asked: “Hello?” (realtime, after 312 ms)",
        "Modes compared: no difference; realtime after 312 ms, quality after 900 ms",
        "Paused: the user spoke",
        "Resumed after the user spoke",
        "Input closed: it was switched off",
    ]);
});

test("an answer that somebody spoke over was not heard to its end, and did not go on", () => {
    const { log, turn } = answered();
    log.add("turn.completed", { sentences: 2, audio_ms: 2000 }, turn, 10);
    log.add("playback.paused", { by: "voice" }, null, 10);
    log.add("playback.heard", { heard_ms: 600 }, turn, 20);
    log.add("playback.flushed", { reason: "barge_in" }, turn, 10);
    log.add("playback.resumed", { by: "voice" }); // by which the server ends the pause
    const chronicle = told(log);
    const spans = heardSpans(chronicle).get(turn);
    assert.equal(spans.at(-1).to, chronicle.turns[0].flushedAt);
    const said = moments(chronicle.turns[0], chronicle, spans).map(({ what }) => what);
    assert.ok(said.includes("Heard for 0.6 s") && said.includes("Playback stopped: the user spoke"));
    assert.ok(!said.includes("Heard to the end") && !said.includes("Resumed"));
    assert.deepEqual(chronicle.moments.map(({ what }) => what), ["Begun", "Paused: the user spoke"]);
});
