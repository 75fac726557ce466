/** The page's words in the reader's language. The code has the English ones; `strings/` has the others, by the English ones. */

import { interfaceLanguage } from "./storage.js";

export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", zh: "中文" };

/** The first of BCP 47 `tags` that the page speaks, as a key of LANGUAGES; English where it speaks none. Pure. */
export function spokenOf(tags) {
  return tags.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";
}

/** The language chosen in the settings, or else the one that the browser asks for. */
export const language = spokenOf([interfaceLanguage().read() ?? "", ...(globalThis.navigator?.languages ?? [])]);
const table = { ...(await wordsOf(language)) };

/** Settles when the words of the parts that are loaded later are there. A page that is served as it is written has them already. */
export const laterWords = wordsOf(`${language}.later`).then((words) => Object.assign(table, words));

async function wordsOf(name) {
  if (language === "en") return {};
  return import(`./strings/${name}.js`).then(({ default: words }) => words, () => ({})); // English is better than no page
}

const plurals = new Intl.PluralRules(language);

/** `text` in that language, with its {names} replaced by the `values` of these names. */
export const t = (text, values = {}) => filled(table[text] ?? text, values);

/** "1 page", "3 pages": `one` and `many` are English, and {count} in them is the count. */
export function counted(count, one, many) {
  const forms = table[many] ?? { one, other: many };
  return filled(forms[plurals.select(count)] ?? forms.other, { count: count.toLocaleString(language) });
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (name, key) => (Object.hasOwn(values, key) ? String(values[key]) : name));
}

const ATTRIBUTES = ["aria-label", "title", "placeholder", "data-short"];

/** Puts a document that was written in English into the reader's language. */
export function translate(document) {
  document.documentElement.lang = language;
  if (language === "en") return;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data } = texts.currentNode;
    const words = inOneLine(data);
    if (words in table) texts.currentNode.data = data.replace(data.trim(), () => table[words]);
  }
  for (const name of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[${name}]`)) element.setAttribute(name, t(element.getAttribute(name)));
  }
}

/** As the key of a text that is broken into lines. Pure. */
export const inOneLine = (text) => text.trim().replace(/\s+/g, " ");

const TITLE_CHARS = 60;

/** The first words of a text in one line, as long as a title; "…" stands where the text goes on. Pure. */
export function beginning(text) {
  const letters = [...unmarked(inOneLine(text.slice(0, 1_000)))];
  return letters.length > TITLE_CHARS ? `${letters.slice(0, TITLE_CHARS).join("").trimEnd()}…` : letters.join("");
}

const MARKS = [
  [/^(?:#{1,6}|>|[-*+]) /, ""],
  [/!?\[([^[\]]+)\]\([^()\s]*\)/g, "$1"],
  [/(`+)(?=[^\s`])([^`]*[^\s`])\1/g, "$2"],
  [/(?<![\w*])(\*{1,3}|~~)(?=[^\s*])([^*]*[^\s*])\1(?![\w*])/g, "$2"], // "2 * 3 * 4" is no emphasis
  [/(?<!\S)(?:\*\*|`)(?=\S[^*`]*…$)/, ""], // that is closed behind the end
];

/** A title in one line, without marks of Markdown. Pure. */
export const unmarked = (title) => MARKS.reduce((text, [mark, instead]) => text.replace(mark, instead), title);
