import assert from "node:assert/strict";
import { test } from "node:test";

import { Problem } from "../../../web/api.js";
import { connection } from "../../../web/connection.js";
import { ConversationsApi } from "../../../web/conversations/api.js";
import { citedIn, pieces, placeOf, restsOn, withMarkers } from "../../../web/conversations/sources.js";
import { Uploads } from "../../../web/conversations/uploads.js";
import { documentId, emptyShelf, shelve, standing } from "../../../web/conversations/shelf.js";

const ID = "019aa3c6-1b9a-7c3e-8f00-2b1d7a5c9e12";
const VIEW = { id: ID, name: "bees.md", title: "The hive", pages: null, chunks: 2 };
const FIRST = { document: ID, name: "bees.md", state: "waiting", done: 0, bytes: 80 };
const STEP = { document: ID, name: "bees.md", state: "embedding", done: 0.4, bytes: 80 };

const after = (...facts) =>
  facts.reduce((shelf, [type, data], at) => Object.freeze(shelve(shelf, { seq: at + 1, type, data })), emptyShelf());

test("a document comes, can be found, is replaced and goes", () => {
  const begun = after(["session.started", { title: "Bees" }], ["document.progressed", FIRST]);
  const coming = shelve(begun, { seq: 3, type: "document.progressed", data: STEP });
  assert.equal(coming.name, "Bees");
  assert.equal(standing(coming.documents[ID]), "Learning, 40 %");
  const there = shelve(coming, { seq: 4, type: "document.added", data: { view: VIEW } });
  assert.equal(standing(there.documents[ID]), "2 passages");
  assert.equal(standing({ ...there.documents[ID], view: { ...VIEW, pages: 1, chunks: 1 } }), "1 page · 1 passage");
  const failed = { document: ID, code: "document.unreadable", message: "It is damaged." };
  const replaced = [STEP, failed].reduce(
    (shelf, data, at) => shelve(shelf, { seq: 5 + at, type: at ? "document.failed" : "document.progressed", data }),
    there,
  );
  assert.deepEqual([replaced.documents[ID].view, standing(replaced.documents[ID])], [VIEW, "It is damaged."]);
  const gone = shelve(replaced, { seq: 7, type: "document.removed", data: { document: ID } });
  assert.deepEqual([gone.documents, gone.order, gone.lastSeq], [{}, [], 7]);
});

test("what is told of a document after its removal does not bring it back, and it can be added again", () => {
  const failed = { document: ID, code: "document.unreadable", message: "It is damaged." };
  const gone = [["document.progressed", FIRST], ["document.removed", { document: ID }]];
  const late = after(...gone, ["document.progressed", STEP], ["document.failed", failed]);
  assert.deepEqual([late.documents, late.order, late.lastSeq], [{}, [], 4]);
  assert.deepEqual(after(...gone, ["document.progressed", FIRST]).order, [ID]);
});

test("a file that failed is sent again as the same document, and shown as on its way until the log tells of it", async () => {
  const sent = [];
  const answers = [new Problem({ detail: "the reader is away" }), null];
  const api = {
    async send(_, document) {
      sent.push(document);
      const problem = answers.shift();
      if (problem) throw problem;
    },
  };
  const uploads = new Uploads({ api, collection: ID, onChange() {} });
  uploads.send([{ name: "bees.md" }]);
  const [{ id }] = uploads.beside(emptyShelf());
  await new Promise(setImmediate);
  const failed = { document: id, code: "document.interrupted", message: "The server stopped." };
  const shelf = after(["document.progressed", { ...FIRST, document: id }], ["document.failed", failed]);
  assert.deepEqual([uploads.beside(shelf)[0].message, uploads.has(id)], ["The server stopped.", true]);
  uploads.again(shelf.documents[id]);
  assert.deepEqual(uploads.beside(shelf).map(({ state }) => state), ["sending"]);
  await new Promise(setImmediate);
  const begun = shelve(shelf, { seq: 3, type: "document.progressed", data: { ...FIRST, document: id } });
  assert.deepEqual(uploads.beside(begun).map(({ state }) => state), ["waiting"]);
  assert.deepEqual([sent, uploads.has(id)], [[id, id], false]);
});

test("a document's id is a UUIDv7", () => {
  for (let count = 0; count < 200; count += 1) {
    assert.match(documentId(), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  assert.ok(documentId(0x019aa3c61b9a).startsWith("019aa3c6-1b9a-7"));
});

test("no text is lost when it is cut at its markers", () => {
  for (const text of ["", "none", "[1]", "Bees[1] fly [23].[4][5] [x] [1234]"]) {
    assert.equal(pieces(text).join(""), text);
    pieces(text).forEach((piece, at) => assert.equal(/^\[\d{1,3}\]$/.test(piece), at % 2 === 1));
  }
});

test("sources are named by where they stand, and in the order of the answer", () => {
  assert.equal(placeOf({ title: "The hive", page: 3, headings: ["The hive", "Wax"] }), "The hive, page 3 · Wax");
  assert.equal(placeOf({ title: "Notes", page: null, headings: [] }), "Notes");
  const supports = [
    { number: 2, start: 40 },
    { number: 1, start: 3 },
    { number: 2, start: 9 },
  ];
  assert.deepEqual(citedIn({ supports }), [1, 2]);
});

test("an answer that was continued has one list of what it rests on", () => {
  const passage = (number, document, start = 0) => ({ number, document, start });
  const begun = { passages: [passage(1, "bees"), passage(2, "wax"), passage(3, "honey")], supports: [{ number: 1, start: 0 }] };
  const rest = { passages: [passage(1, "honey"), passage(2, "wax"), passage(3, "bees")], supports: [{ number: 1, start: 0 }] };
  const shown = (passages) => passages.map(({ number, document }) => `[${number}] ${document}`);
  const { cited, others } = restsOn([begun, rest]);
  assert.deepEqual(shown(cited), ["[1] bees", "[1] honey"]);
  assert.deepEqual(shown(others), ["[2] wax"]);
  assert.deepEqual(shown(restsOn([begun, begun]).cited), ["[1] bees"]);
});

test("a marker takes what closes the sentence behind it with it to another line", () => {
  const turn = { passages: [{ number: 2, title: "Wax", page: null, headings: [] }] };
  const shown = (part) => (typeof part === "string" ? part : part.children.map(shown).join(""));
  for (const [text, whole] of [["wax [2]. It", "[2]."], ["wax [2] . It", "[2] ."], ["(wax [2]) is", "[2])"]]) {
    const parts = withMarkers(text, turn);
    assert.equal(parts.map(shown).join(""), text);
    assert.deepEqual(parts.filter((part) => part.attributes?.class === "whole").map(shown), [whole]);
  }
  assert.deepEqual(withMarkers("[2] it is [3].", turn).map(shown), ["[2]", " it is ", "[3]", "."]);
});

test("a knowledge base that is no chat's is made in words that earlier releases take", async (context) => {
  const bodies = [];
  globalThis.localStorage = { getItem: () => null };
  context.after(() => delete globalThis.localStorage);
  context.mock.method(connection, "address", (path) => `http://localhost/${path}`);
  context.mock.method(globalThis, "fetch", async (_, { body }) => {
    bodies.push(JSON.parse(body));
    return new Response("{}", { status: 201 });
  });
  await new ConversationsApi().createCollection("Bees");
  assert.deepEqual(bodies, [{ name: "Bees" }]);
});
