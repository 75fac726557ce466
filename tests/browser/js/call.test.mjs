import assert from "node:assert/strict";
import { test } from "node:test";

import { Call, audioCursor } from "../../../clients/javascript/call.js";
import { Connection } from "../../../clients/javascript/connection.js";

test("a call that breaks before any sound goes on with the sound of the next event of the log", () => {
  const greeting = { type: "session.created", event_id: "event_191_1", sequence_number: 191 };
  assert.equal(audioCursor(greeting, null), "3.0");
});

test("a call goes on where the server last said that its sound is", () => {
  const position = { type: "output_audio_buffer.position", event_id: "event_200_1", sequence_number: 200, audio_cursor: "9.400" };
  assert.equal(audioCursor(position, "3.0"), "9.400");
  assert.equal(audioCursor({ type: "response.done", event_id: "event_1_210_0", sequence_number: 210 }, "9.400"), "9.400");
});

test("an offer that would make a session is not sent twice where its answer was lost", async (context) => {
  const connection = new Connection({ url: "http://server.test/", patienceMs: 400 });
  const sent = context.mock.method(globalThis, "fetch", async () => {
    throw new TypeError("no answer");
  });
  const offers = async (call) => {
    const before = sent.mock.callCount();
    await assert.rejects(call._offer("v=0"), { code: "connection.lost" });
    return sent.mock.callCount() - before;
  };
  assert.equal(await offers(new Call({ connection })), 1);
  assert.ok((await offers(new Call({ connection, session: "a" }))) > 1);
});

test("a call that is made again says which one it was, so that a lost hang-up is told", async (context) => {
  const connection = new Connection({ url: "http://server.test/" });
  const answer = { ok: true, status: 201, headers: new Headers({ Location: "/v1/realtime/calls/rtc_s_2" }), text: async () => "v=0" };
  const sent = context.mock.method(globalThis, "fetch", async () => answer);
  const call = new Call({ connection, session: "s" });
  await call._offer("v=0");
  call._take({ type: "session.created", event_id: "event_191_1", sequence_number: 191 });
  await call._offer("v=0");
  const queries = sent.mock.calls.map(({ arguments: [url] }) => new URL(url).search);
  assert.deepEqual(queries, ["?session_id=s", "?call_id=rtc_s_2&starting_after=191&audio_starting_after=3.0"]);
});
