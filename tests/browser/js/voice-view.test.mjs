import assert from "node:assert/strict";
import { test } from "node:test";

import { VoiceView } from "../../../web/voice/voice-view.js";

/** As much of a page as the view needs, opened at `address`, with its history. */
function pageAt(address) {
  const entries = [address];
  const element = {
    ariaLabel: "",
    before() {},
    checkVisibility: () => true,
    focus() {},
    getAttribute: () => null,
    querySelector: () => null,
    setAttribute() {},
    toggleAttribute() {},
  };
  const location = {
    pathname: "/",
    search: "?session=1",
    get hash() {
      return new URL(entries.at(-1), "http://server.example").hash;
    },
  };
  const history = {
    pushState: (_, __, to) => entries.push(to),
    replaceState: (_, __, to) => entries.splice(-1, 1, to),
    back: () => entries.length > 1 && entries.pop(),
  };
  const document = { activeElement: element, body: element, documentElement: { scrollHeight: 0 }, getElementById: () => element };
  Object.assign(globalThis, { addEventListener() {}, document, history, location, requestAnimationFrame() {}, scrollTo() {} });
  return entries;
}

test("voice mode can be left where the page was opened or loaded anew at its address", () => {
  for (const address of ["/?session=1", "/?session=1#voice"]) {
    const entries = pageAt(address);
    const view = new VoiceView({ onEnd() {} });
    view.open();
    assert.deepEqual(entries, ["/?session=1", "/?session=1#voice"]);
    view.leave();
    assert.deepEqual(entries, ["/?session=1"]);
  }
});
