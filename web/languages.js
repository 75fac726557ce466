/** Voices by the languages that they speak. */

import { asSentence, make } from "./dom.js";
import { refusalOf } from "./refusals.js";
import { counted, language, t } from "./strings.js";

const names = new Intl.DisplayNames([language], { type: "language" });

/** "American English, German": of BCP 47 tags, where "*" is every language and none means that nobody knows. */
export function languageNames(tags) {
  if (!tags?.length) return t("Language not told");
  return tags.includes("*") ? t("Every language") : tags.map((tag) => names.of(tag)).join(", ");
}

/** Option elements for `[{ id, languages }]`, in a group for each language. */
export function voiceOptions(voices) {
  const groups = new Map();
  for (const { id, languages } of voices) {
    const label = languageNames(languages);
    groups.set(label, [...(groups.get(label) ?? []), make("option", { value: id }, id)]);
  }
  const sorted = [...groups].sort(([one], [other]) => one.localeCompare(other));
  return sorted.map(([label, options]) => make("optgroup", { label }, ...options));
}

/** Says which languages of the turn no voice here speaks: its sentences in them are text only. */
export function unspokenWords({ sentences }) {
  const unspoken = sentences.filter((sentence) => sentence?.code === "voice.language");
  if (!unspoken.length) return "";
  return [counted(unspoken.length, "{count} sentence was not spoken", "{count} sentences were not spoken"), ...new Set(unspoken.map(({ code, error }) => refusalOf({ code, message: error })))].map(asSentence).join(" ");
}
