/** The page's words: each is there in every language, none is there that nothing shows, none is left in the code. */

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

import { asSentence } from "../../../web/dom.js";
import { WORDS as WORDS_OF_CODES } from "../../../web/refusal-words.js";
import { beginning, counted, inOneLine, LANGUAGES, spokenOf, t, unmarked } from "../../../web/strings.js";

const WEB = new URL("../../../web/", import.meta.url);
const NOT_YET = /^reference\//; // English only
const WORDS = String.raw`"((?:[^"\\]|\\.)+)"`;
const modules = readdirSync(WEB, { recursive: true })
  .filter((path) => path.endsWith(".js") && !/^(client|strings|vendor)/.test(path))
  .map((path) => ({ path, code: readFileSync(new URL(path, WEB), "utf8").replace(/\/\*\*[^]*?\*\//g, "") }));
const tables = {};
for (const tag of Object.keys(LANGUAGES).filter((tag) => tag !== "en")) {
  tables[tag] = (await import(new URL(`strings/${tag}.js`, WEB))).default;
}

const all = (pattern, text) => [...text.matchAll(new RegExp(pattern, "g"))];
const unescaped = (words) => JSON.parse(`"${words}"`);

function shown() {
  const single = modules.flatMap(({ code }) => all(String.raw`\bt\(\s*${WORDS}`, code).map(([, words]) => unescaped(words)));
  const page = readFileSync(new URL("index.html", WEB), "utf8").replace(/^[^]*<body>/, "").replace(/<svg[^]*?<\/svg>/g, "");
  const attributes = all(String.raw`(?:aria-label|title|placeholder|data-short)=${WORDS}`, page).map(([, words]) => words);
  const texts = page.split(/<[^>]*>/).map(inOneLine);
  const words = [...single, ...attributes, ...texts].filter((text) => /[a-z]/i.test(text));
  return new Set(words.filter((text) => !NAMES.has(text)));
}

const NAMES = new Set(["Rhapsode"]); // the same in every language
const several = () =>
  modules.flatMap(({ code }) =>
    all(String.raw`\bcounted\([^"]*${WORDS},\s*${WORDS}`, code).map(([, one, many]) => [unescaped(one), unescaped(many)]),
  );
const placeholders = (text) => all(String.raw`\{\w+\}`, text).map(([name]) => name).sort();

test("every language has every text that is shown, and no other", () => {
  const wanted = [...shown(), ...several().map(([, many]) => many)].sort();
  assert.ok(wanted.length > 300);
  for (const [tag, table] of Object.entries(tables)) assert.deepEqual(Object.keys(table).sort(), [...new Set(wanted)], tag);
});

test("a translation has the placeholders of its text, and every plural form of its language", () => {
  for (const [tag, table] of Object.entries(tables)) {
    for (const words of shown()) assert.deepEqual(placeholders(table[words]), placeholders(words), `${tag}: ${words}`);
    const { pluralCategories } = new Intl.PluralRules(tag).resolvedOptions();
    for (const [, many] of several()) {
      assert.ok(pluralCategories.every((form) => form === "many" || table[many][form]), `${tag}: ${many}`);
      for (const form of Object.values(table[many])) assert.deepEqual(placeholders(form), placeholders(many), `${tag}: ${many}`);
    }
  }
});

test("no English words are left in the modules", () => {
  const ENGLISH = /^[A-Z][a-z]+( |$)|[a-z,.] [a-z]+ [a-z]/;
  const NO_WORDS = /Hello!|^(Enter|Escape|Files|Date|Python|JavaScript|Rhapsode)$|[#:[\]()>=]|thread session|noopener|input, textarea|button, |^ar bg ca /;
  for (const { path, code } of modules) {
    if (NOT_YET.test(path)) continue;
    const own = code.replace(/`[^`]*`/g, (text) => text.replaceAll("\n", " ")).replace(/^import .*$/gm, "");
    const rest = own
      .replace(new RegExp(String.raw`\bt\(\s*${WORDS}`, "g"), "t(")
      .replace(new RegExp(String.raw`\bcounted\(([^"]*)${WORDS},\s*${WORDS}`, "g"), "counted($1")
      .replace(new RegExp(String.raw`\b(class|className): ${WORDS}`, "g"), "")
      .replace(new RegExp(String.raw`button\(t\(, ${WORDS}`, "g"), ""); // its class
    const left = all(WORDS, rest).map(([, words]) => words).filter((words) => ENGLISH.test(words) && !NO_WORDS.test(words));
    assert.deepEqual(left, [], path);
  }
});

test("no words are left in the style sheets", () => {
  for (const path of readdirSync(WEB, { recursive: true }).filter((path) => /^(?!vendor).*\.css$/.test(path))) {
    const written = all(String.raw`\bcontent:[^;]*"[^";]*[A-Za-z]{2}[^";]*"`, readFileSync(new URL(path, WEB), "utf8"));
    assert.deepEqual(written.map(([words]) => words), [], path);
  }
});

test("the browser's first language that the page speaks is taken, else English", () => {
  assert.equal(spokenOf(["nl-NL", "de-AT", "fr"]), "de");
  assert.equal(spokenOf(["zh-Hant-TW"]), "zh");
  assert.equal(spokenOf(["", "nl", "constructor"]), "en");
  assert.equal(spokenOf([]), "en");
});

test("placeholders are filled in, also with what looks like one", () => {
  assert.equal(t("Actions for {name}", { name: "{name} $& {x}" }), "Actions for {name} $& {x}");
  assert.equal(counted(1, "{count} page", "{count} pages"), "1 page");
  assert.equal(counted(1_200, "{count} page", "{count} pages"), "1,200 pages");
});

test("a page whose language cannot be loaded is there in English", async () => {
  const folder = mkdtempSync(join(tmpdir(), "strings-"));
  for (const name of ["package.json", "strings.js", "storage.js"]) copyFileSync(new URL(name, WEB), join(folder, name));
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages: ["de"] } });
  try {
    const alone = await import(pathToFileURL(join(folder, "strings.js")));
    assert.equal(alone.t("Copy"), "Copy");
    assert.equal(alone.counted(2, "{count} page", "{count} pages"), "2 pages");
  } finally {
    if (before) Object.defineProperty(globalThis, "navigator", before);
    else delete globalThis.navigator;
    rmSync(folder, { recursive: true });
  }
});

const OF_OTHER_FACES =
  /^(answer|dead_letter|gateway\.not|missing_|model\.not|previous_|producer|projection|realtime|response|stream|unsupported_)/;

test("every code with which the page's routes refuse has words", () => {
  const { oneOf } = JSON.parse(readFileSync(new URL("../docs/schemas/errors.json", WEB), "utf8"));
  const codes = oneOf.map(({ const: code }) => code).filter((code) => !OF_OTHER_FACES.test(code));
  assert.ok(codes.length > 70);
  assert.deepEqual(codes.filter((code) => !WORDS_OF_CODES.has(code)), []);
});

test("a title that is cut says so, in one line and between characters", () => {
  assert.equal(beginning(" The lamp\n was lit. "), "The lamp was lit.");
  assert.equal(beginning("🦊".repeat(60)), "🦊".repeat(60));
  assert.equal(beginning(`${"🦊".repeat(59)} ${"🦊".repeat(9)}`), `${"🦊".repeat(59)}…`);
  assert.equal(beginning(""), "");
});

test("a sentence ends once, in the marks of its language", () => {
  assert.deepEqual(["gone", "Weg.", "文本太长。"].map(asSentence), ["Gone.", "Weg.", "文本太长。"]);
});

test("a title has no marks of Markdown, and keeps what only looks like them", () => {
  const plain = {
    "**Explain** the `foo()` *now*": "Explain the foo() now",
    "# Brewing": "Brewing",
    "**`brew`** after [the guide](https://example.org/coffee)": "brew after the guide",
    "**重要**なこと": "重要なこと",
    "**Explain the tides to a curious…": "Explain the tides to a curious…",
  };
  for (const [marked, shown] of Object.entries(plain)) assert.equal(unmarked(marked), shown);
  for (const text of ["2 * 3 * 4", "x**2 + y**2", "f(*args, **kwargs)", "__init__.py", "#5 of 9", "a - b", "[1] (2)"]) assert.equal(unmarked(text), text);
  assert.equal(beginning("# Brewing\n\nYou need **three** things"), "Brewing You need three things");
});
