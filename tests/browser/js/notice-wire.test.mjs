import assert from "node:assert/strict";
import { test } from "node:test";

test("a notice that cannot be shown holds up no other, and is not acknowledged", async () => {
  const sent = [];
  class Socket {
    static OPEN = 1;
    readyState = 1;
    constructor() {
      Socket.last = this;
    }
    send(text) {
      sent.push(JSON.parse(text));
    }
    close() {}
  }
  const storage = { getItem: () => null };
  const loud = [];
  const reportError = ({ message }) => loud.push(message);
  const document = { baseURI: "http://x/" };
  Object.assign(globalThis, { WebSocket: Socket, addEventListener() {}, localStorage: storage, document, reportError });
  const { NoticeWire } = await import("../../../web/notice-wire.js");
  const shown = [];
  const wire = new NoticeWire({
    onNotice: async ({ id }) => {
      if (id === 1) throw new Error("of no scene");
      shown.push(id);
    },
  });
  wire.open();
  Socket.last.onmessage({ data: '{"id": 1, "type": "tts_ready"}' });
  await new Promise((resolve) => setTimeout(resolve));
  Socket.last.onmessage({ data: '{"id": 2, "type": "tts_ready"}' });
  await new Promise((resolve) => setTimeout(resolve));
  wire._release();
  assert.deepEqual(shown, [2]);
  assert.deepEqual(sent, [{ type: "ack", id: 2 }]);
  assert.deepEqual(loud, ["of no scene"]);
});
