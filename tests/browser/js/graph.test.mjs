import assert from "node:assert/strict";
import test from "node:test";

import { AudioGraph } from "../../../web/client/playback/graph.js";

function latencyIn(userAgent) {
  Object.defineProperty(globalThis, "navigator", { value: { userAgent }, configurable: true });
  const asked = [];
  const graph = Object.create(AudioGraph.prototype);
  graph._context = {
    baseLatency: 0.01,
    get outputLatency() {
      asked.push("outputLatency");
      return 0.05;
    },
  };
  return { ms: Math.round(graph.latencyMs), asked };
}

test("the loudspeaker's latency counts, but in Firefox, which is not asked for it", () => {
  assert.deepEqual(latencyIn("Mozilla/5.0 Chrome/156.0 Safari/537.36"), { ms: 60, asked: ["outputLatency"] });
  assert.deepEqual(latencyIn("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"), { ms: 10, asked: [] });
});
