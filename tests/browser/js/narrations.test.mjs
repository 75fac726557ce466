import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Narrations } from "../../../web/stories/narrations.js";

test("a narration that is not there yet is not asked for again once its place was left", () => {
  const sockets = [];
  class Socket {
    constructor() {
      sockets.push(this);
    }
    close() {}
  }
  const there = { WebSocket: Socket, addEventListener() {}, removeEventListener() {}, localStorage: { getItem: () => null } };
  Object.assign(globalThis, there, { location: { origin: "http://x" } });
  mock.timers.enable({ apis: ["setTimeout"] });
  const narrations = new Narrations({ url: () => "ws://x", totalOf: () => null, onChange() {} });
  narrations.open("n");
  const absent = { type: "error", code: "session.not_found", message: "there is no session" };
  sockets[0].onmessage({ data: JSON.stringify(absent) });
  sockets[0].onclose({ code: 4404 });
  narrations.close(null);
  mock.timers.tick(60_000);
  assert.equal(sockets.length, 1);
});
