import assert from "node:assert/strict";
import { test } from "node:test";

import { audioCursor } from "../../../clients/javascript/call.js";

test("a call that breaks before any sound goes on with the sound of the next event of the log", () => {
  const greeting = { type: "session.created", event_id: "event_191_1", sequence_number: 191 };
  assert.equal(audioCursor(greeting, null), "3.0");
});

test("a call goes on where the server last said that its sound is", () => {
  const position = { type: "output_audio_buffer.position", event_id: "event_200_1", sequence_number: 200, audio_cursor: "9.400" };
  assert.equal(audioCursor(position, "3.0"), "9.400");
  assert.equal(audioCursor({ type: "response.done", event_id: "event_1_210_0", sequence_number: 210 }, "9.400"), "9.400");
});
