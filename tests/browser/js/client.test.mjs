import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Rhapsode } from "../../../clients/javascript/client.js";
import { Connection } from "../../../clients/javascript/connection.js";
import { EventSocket } from "../../../clients/javascript/event-socket.js";
import { VoiceConversation } from "../../../clients/javascript/voice.js";

/** A socket whose server is the test. */
class Wire {
  static OPEN = 1;
  static all = [];

  constructor() {
    this.readyState = Wire.OPEN;
    this.bufferedAmount = 0;
    this.sent = [];
    Wire.all.push(this);
    Wire.onOpen?.(this);
  }

  send(data) {
    this.sent.push(data);
    Wire.onSend?.(this, data);
  }

  close() {
    this.readyState = 3;
  }

  says(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}
globalThis.WebSocket = Wire;

const HELLO = { type: "hello", generation: "g", from_seq: 0 };
const session = () => new Rhapsode("http://server.example", { key: null }).session("one");
const newWires = () => {
  Wire.all = [];
  Wire.onOpen = Wire.onSend = null;
};
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a connection that has fallen silent is opened anew before the reader is refused", () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  newWires();
  const states = [];
  const socket = new EventSocket({
    connection: new Connection({ url: "http://server.example/" }),
    path: "stream",
    patienceMs: 30_000,
    onEvent() {},
    onState: ({ state }) => states.push(state),
  });
  socket.open();
  Wire.all[0].says(HELLO);
  mock.timers.tick(40_000);
  assert.deepEqual(states, ["connecting", "live", "waiting"]);
  mock.timers.tick(1_000);
  assert.equal(Wire.all.length, 2);
  for (let attempt = 0; attempt < 90; attempt += 1) mock.timers.tick(1_000);
  assert.equal(states.at(-1), "refused");
  mock.timers.reset();
});

test("a renewal that fails is a refusal of the reader, and no unhandled rejection", async () => {
  newWires();
  const states = [];
  const renew = () => Promise.reject(new Error("no token"));
  const connection = new Connection({ url: "http://server.example/", renew });
  const socket = new EventSocket({ connection, path: "stream", onEvent() {}, onState: (state) => states.push(state) });
  socket.open();
  Wire.all[0].onclose({ code: 4401, reason: "The token has ended." });
  await settled();
  assert.deepEqual(states.at(-1), { state: "refused", code: "4401", message: "The token has ended.", field: null });
  socket.close();
});

test("an answer without content is an answer, of whatever type it says it is", async (context) => {
  const deleted = () => new Response(null, { status: 204, headers: { "Content-Type": "application/json" } });
  const asked = context.mock.method(globalThis, "fetch", async () => deleted());
  const connection = new Connection({ url: "http://server.example", patienceMs: 0 });
  assert.equal((await connection.patiently("DELETE", "v1/sessions/one")).status, 204);
  assert.equal(asked.mock.callCount(), 1);
});

test("an abort closes the socket, also while no event is asked for", async () => {
  newWires();
  const stop = new AbortController();
  const events = session().events(0, { signal: stop.signal });
  const first = events.next();
  await settled();
  Wire.all[0].says(HELLO);
  Wire.all[0].says({ seq: 1, ts: 1, turn: 0, type: "session.created", data: {} });
  assert.equal((await first).value.seq, 1);
  stop.abort();
  assert.equal(Wire.all[0].readyState, 3);
});

test("sound that is given in one piece, such as a file of two minutes, is sent whole, in messages of a second", async () => {
  newWires();
  const sound = Int16Array.from({ length: 120 * 16_000 }, (_, n) => n % 30_000);
  const heard = [];
  Wire.onOpen = (wire) => queueMicrotask(() => wire.says(HELLO));
  let input = null;
  Wire.onSend = (wire, data) =>
    queueMicrotask(() => {
      if (typeof data !== "string") {
        heard.push(...data);
        wire.says({ type: "input.ack", input, ms: heard.length / 16 });
        return;
      }
      const message = JSON.parse(data);
      if (message.type === "input.open") {
        input = message.input;
        wire.says({ type: "input.ready", input, from_ms: 0 });
      } else if (message.type === "input.close") {
        wire.says({ seq: 1, ts: 1, turn: 0, type: "input.closed", data: { input, reason: "closed" } });
      }
    });
  async function* file() {
    yield sound;
  }
  const types = [];
  for await (const event of session().listen(file())) types.push(event.type);
  assert.deepEqual(types, ["input.closed"]);
  assert.deepEqual(Int16Array.from(heard), sound);
  assert.ok(Wire.all[0].sent.every((data) => data.length <= 16_000));
});

/** As much of a browser as a conversation by voice needs; `report` and `fail` are those of its loudspeaker. */
function browser() {
  const made = { contexts: [], playout: null };
  class Port {
    postMessage() {}
  }
  globalThis.AudioContext = class {
    constructor() {
      this.state = "running";
      this.audioWorklet = { addModule: async () => made.hinders && Promise.reject(new DOMException("Not found.", "AbortError")) };
      made.contexts.push(this);
    }
    async resume() {}
    async close() {
      this.state = "closed";
    }
  };
  class Node {
    connect(next) {
      return next;
    }
  }
  globalThis.AudioWorkletNode = class extends Node {
    constructor(_, name) {
      super();
      this.port = new Port();
      if (name === "rhapsode-playout") made.playout = this.port;
    }
  };
  globalThis.GainNode = globalThis.AnalyserNode = globalThis.MediaStreamAudioSourceNode = Node;
  globalThis.AudioDecoder = undefined;
  const track = { stop() {}, onended: null };
  const mediaDevices = { getUserMedia: async () => ({ getTracks: () => [track] }) };
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { mediaDevices, onLine: true } });
  return made;
}

test("a conversation that is stopped while it speaks tells how much of the answer was heard", async () => {
  newWires();
  const made = browser();
  const client = new Rhapsode("http://server.example", { key: null });
  const states = [];
  const voice = new VoiceConversation({
    connection: client.connection,
    session: async () => client.session("one"),
    onState: (state) => states.push(state),
  });
  await voice.start();
  const [wire] = Wire.all;
  wire.says(HELLO);
  await new Promise(setImmediate); // it asks whether there is an encoder
  wire.says({ type: "input.ready", input: JSON.parse(wire.sent[0]).input, from_ms: 0 });
  voice._take({ seq: 2, turn: 1, type: "audio.chunk", data: { chunk: 0, at_ms: 0, ms: 1_000 }, audio: new Uint8Array(48_000) });
  const report = { epoch: 0, underruns: 0, flowing: true, done: false };
  made.playout.onmessage({ data: { ...report, played: 2_400, positionMs: 100 } });
  made.playout.onmessage({ data: { ...report, played: 9_600, positionMs: 400 } });
  voice.stop();
  const told = wire.sent.filter((data) => typeof data === "string").map((data) => JSON.parse(data));
  assert.deepEqual(
    told.filter(({ type }) => type === "playback.ack").map(({ turn, heard_ms, ended }) => [turn, heard_ms, ended]),
    [[1, 100, undefined], [1, 400, true]],
  );
  assert.deepEqual(states.slice(-2), ["speaking", "off"]);
  voice._input?.abandon();
});

test("a conversation whose worklet cannot be loaded leaves no audio context open", async () => {
  const made = browser();
  made.hinders = true;
  const client = new Rhapsode("http://server.example", { key: null });
  const troubles = [];
  const options = { connection: client.connection, session: async () => client.session("one") };
  const voice = new VoiceConversation({ ...options, onTrouble: ({ message }) => troubles.push(message) });
  await voice.start();
  assert.deepEqual(troubles, ["Not found."]);
  assert.deepEqual(made.contexts.map(({ state }) => state), ["closed"]);
});

test("renew of a voice button is kept where the page has set it before the script came, and a second script does no harm", async () => {
  const written = {};
  const anything = () => ({ addEventListener() {}, setAttribute() {}, appendChild: anything });
  globalThis.HTMLElement = class {
    constructor() {
      return Object.setPrototypeOf(written, new.target.prototype); // as a browser upgrades what is in the page already
    }
  };
  globalThis.HTMLElement.prototype.attachShadow = anything;
  globalThis.CSSStyleSheet = class {
    replaceSync() {}
  };
  globalThis.document = { createElement: anything };
  const defined = new Map();
  globalThis.customElements = {
    get: (name) => defined.get(name),
    define: (name, made) => (assert.ok(!defined.has(name)), defined.set(name, made)),
  };
  const { RhapsodeVoice } = await import("../../../clients/javascript/element.js");
  await import("../../../clients/javascript/element.js?another");
  const renew = async () => "token";
  written.renew = renew;
  assert.equal(new RhapsodeVoice().renew, renew);
});
