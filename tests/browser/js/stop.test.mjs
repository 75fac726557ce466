import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Api } from "../../../web/api.js";

globalThis.localStorage = { getItem: () => null };
const settled = () => new Promise((resolve) => setImmediate(resolve));
const online = new EventTarget();
globalThis.addEventListener = online.addEventListener.bind(online);
globalThis.removeEventListener = online.removeEventListener.bind(online);

/** A network that is away until `here` is true; counts what was sent into it. */
function network() {
  const found = { here: false, tries: 0 };
  globalThis.fetch = async () => {
    found.tries += 1;
    if (!found.here) throw new TypeError("no network");
    return new Response("{}", { headers: { "Content-Type": "application/json" } });
  };
  return found;
}

test("a stop is sent again until the server has it, an hour if need be", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const wire = network();
  const stopped = new Api("http://server.example/v1").control("one", "stop", { turn: 2 });
  for (let tries = 1; tries < 360; tries += 1) {
    await settled();
    mock.timers.tick(10_000);
  }
  wire.here = true;
  await settled();
  mock.timers.tick(10_000);
  await stopped;
  mock.timers.reset();
});

test("what is to be sent again is sent as soon as the browser is connected again", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const wire = network();
  const stopped = new Api("http://server.example/v1").control("one", "stop", { turn: 2 });
  await settled();
  wire.here = true;
  online.dispatchEvent(new Event("online"));
  await stopped;
  assert.equal(wire.tries, 2);
  mock.timers.reset();
});

test("a stop that is asked for again while it is repeated is sent once, and after that anew", async () => {
  const wire = network();
  const api = new Api("http://server.example/v1");
  const stops = [2, 2, 3, 2].map((turn) => api.control("one", "stop", { turn }));
  await settled();
  assert.equal(wire.tries, 2);
  wire.here = true;
  online.dispatchEvent(new Event("online"));
  await Promise.all(stops);
  assert.equal(wire.tries, 4);
  await api.control("one", "stop", { turn: 2 });
  assert.equal(wire.tries, 5);
});

test("an answer that breaks off is a lost connection", async () => {
  const failures = [new DOMException("The operation was aborted. ", "AbortError"), new TypeError("network error")];
  for (const failure of failures) {
    const body = new ReadableStream({ start: (stream) => stream.error(failure) });
    globalThis.fetch = async () => new Response(body, { headers: { "Content-Type": "application/json" } });
    await assert.rejects(new Api("http://server.example/v1").voices(), { code: "connection.lost" });
  }
});
