/** Two texts of the same speech, word by word: which words they share. Pure. */

import { counted, language, t } from "../strings.js";

const MOST = 4_000_000; // pairs of words, which take two bytes each; no utterance has 2,000 words
const bare = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}']/gu, "");

const wordsOf = (text) => text.split(/\s+/).filter(Boolean);

/** The most words that the rests of both from [i] and [j] on have in common. */
function commonLengths(left, right) {
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      const same = left[i] === right[j];
      lengths[i][j] = same ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

function inRuns(words, shared) {
  const runs = [];
  words.forEach((word, at) => {
    const differs = !shared.has(at) && bare(word) !== "";
    if (runs.at(-1)?.differs === differs) runs.at(-1).text += ` ${word}`;
    else runs.push({ text: word, differs });
  });
  return runs;
}

/** Both texts as runs {text, differs}. Case and punctuation are no difference. */
export function marked(one, other) {
  const [left, right] = [wordsOf(one), wordsOf(other)];
  const [a, b] = [left.map(bare), right.map(bare)];
  if (left.length * right.length > MOST) {
    const differs = a.filter(Boolean).join(" ") !== b.filter(Boolean).join(" ");
    return [one, other].map((text) => [{ text, differs }]);
  }
  const lengths = commonLengths(a, b);
  const [inLeft, inRight] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      inLeft.add(i++);
      inRight.add(j++);
    } else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return [inRuns(left, inLeft), inRuns(right, inRight)];
}

const ms = (value) => `${Math.round(value).toLocaleString(language)} ms`;

/** The figures of one way as [name, value]; what the engine does not know is left out. */
export function figures(way) {
  const all = [
    [t("Text after"), ms(way.after_ms)],
    [t("Taken back"), counted(way.revisions ?? 0, "{count} word", "{count} words")],
    [t("Work"), way.decode_ms ? ms(way.decode_ms) : null],
    [t("Processor"), way.cpu_ms ? ms(way.cpu_ms) : null],
    [t("Word errors"), way.word_errors ?? null],
  ];
  return all.filter(([, value]) => value !== null).map(([name, value]) => [name, String(value)]);
}

/** The agreement of both, in a line. */
export function verdict({ differences, words }) {
  if (differences.length === 0) return t("Both ways understood the same");
  if (differences.length === 1) return t("The two ways differ in one place, of {words} words", { words });
  return t("The two ways differ in {count} places, of {words} words", { count: differences.length, words });
}
