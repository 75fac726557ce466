/** The developer panel's figures of a turn, its events, and code for its session. Pure. */

import { versionsOf } from "./story.js";
import { t } from "./strings.js";

const STEPS = [
  [t("speech end"), "speechEnd"],
  [t("transcript"), "transcript"],
  [t("asked"), "asked"],
  [t("first token"), "firstToken"],
  [t("first audio"), "firstAudio"],
  [t("heard"), "heard"],
];

/** [name, ms] of each step of the turn, counted from the end of what was said or from the question; null: not yet. */
export function latencyOf(turn) {
  if (!turn) return [];
  const { times } = turn;
  const spoken = times.speechEnd !== null;
  const steps = STEPS.filter(([, key]) => (spoken ? key !== "asked" : !["speechEnd", "transcript"].includes(key)));
  return steps.map(([name, key]) => [name, since(times, key)]);
}

const TIMED = ["firstToken", "firstAudio", "heard"];

/** `{rows, median}` of all turns of `story`, as they were asked: [name, ms to the first token, to the first audio, until heard]; null: not known. */
export function timingsOf(story) {
  const names = [...namesOf(story, story.order, 1)].sort(([one], [other]) => one - other);
  const rows = names.map(([id, name]) => [name, ...TIMED.map((key) => since(story.turns[id].times, key))]);
  const median = TIMED.map((_, column) => {
    const known = rows.map((row) => row[column + 1]).filter((ms) => ms !== null).sort((one, other) => one - other);
    const middle = known.length >> 1;
    return known.length ? Math.round((known[middle] + known[known.length - 1 - middle]) / 2) : null;
  });
  return { rows, median };
}

/** A map from turns to their names: "2", or "2 (1/3)" for the first of three versions. Turns behind a version that was replaced follow it. */
function namesOf(story, order, number, names = new Map()) {
  order.forEach((id, at) => {
    const versions = versionsOf(story, story.turns[id]);
    versions.forEach((version, which) => {
      if (names.has(version)) return;
      names.set(version, versions.length > 1 ? `${number + at} (${which + 1}/${versions.length})` : String(number + at));
      namesOf(story, story.turns[version].instead.slice(1), number + at + 1, names);
    });
  });
  return names;
}

const since = (times, key) => (times[key] === null ? null : Math.max(0, Math.round(times[key] - (times.speechEnd ?? times.asked))));

/** [name, value] of what the turn was made by and what it took; there are no prices in the log. */
export function usageOf(turn) {
  if (!turn) return [];
  const { usage, status, audioMs, sentences, voice } = turn;
  const spoken = sentences.reduce((sum, { start, end, voiced }) => sum + (voiced ? end - start : 0), 0);
  const rows = [[t("Status"), status]];
  if (usage) {
    const model = [usage.provider, usage.model].filter(Boolean).join(" · ");
    rows.push([t("Model"), model || t("given text")], [t("Tokens"), t("{in} in, {out} out", { in: usage.tokensIn, out: usage.tokensOut })]);
  }
  if (voice) rows.push([t("Voice"), voice]);
  if (audioMs) rows.push([t("Speech"), t("{count} characters, {seconds} s", { count: spoken, seconds: (audioMs / 1_000).toFixed(1) })]);
  return rows;
}

/** Those of `log` whose type or data have every word of `words`; `turn:2` are those of the second turn of `order`. */
export function matching(log, words, order) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return log;
  return log.filter(({ seq, turn, type, data }) => {
    const text = `${seq} ${type} ${JSON.stringify(data)}`.toLowerCase();
    const number = `turn:${order.indexOf(turn) + 1}`;
    return wanted.every((word) => (/^turn:\d+$/.test(word) ? word === number : text.includes(word)));
  });
}

/** A program that asks in `session` of the server at `origin` and follows the answer. */
export function codeFor(language, { origin, session }) {
  const id = encodeURIComponent(session ?? "SESSION_ID").replaceAll("'", "%27");
  const base = `${origin}/v1/sessions/${id}`;
  if (language === "Python") {
    return `import httpx

asked = httpx.post("${base}/turns", json={"prompt": "Hello!"}).raise_for_status().json()
url = "${base}/events"
query = {"from": asked["seq"], "turn": asked["turn"]}
with httpx.stream("GET", url, params=query, timeout=None) as events:
    for line in events.iter_lines():
        if line.startswith("data: "):
            print(line[6:])
`;
  }
  if (language === "JavaScript") {
    return `const asked = await fetch("${base}/turns", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ prompt: "Hello!" }),
}).then((response) => response.json());
const events = new EventSource(\`${base}/events?from=\${asked.seq}&turn=\${asked.turn}\`);
events.onmessage = ({ data }) => console.log(JSON.parse(data));
events.addEventListener("end", () => events.close());
`;
  }
  return `curl -X POST '${base}/turns' \\
  -H 'Content-Type: application/json' \\
  -d '{"prompt": "Hello!"}'

curl -N '${base}/events?from=head'

curl '${base}/audio?format=wav' -o session.wav
`;
}
