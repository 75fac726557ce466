/** Speech into microphones, folded from the log, until it has become a question. Pure. */

const KEPT = 50; // utterances and comparisons

export const emptySpeech = () => ({
  inputs: {}, // those that are open: {source, name, record, ms, totalMs}
  utterances: [], // that are no question (yet): {key, input, utterance, state, text, stable, ts, code?, message?, compared?}
  asked: {}, // per input, the last utterance that has become a question
  compared: {}, // by key: what `transcript.compared` said
});

export const keyOf = ({ input, utterance }) => `${input}:${utterance}`;

/** States of an utterance's text that are shown. */
const STATE_OF = { turn: "understood", joined: "understood", kept: "kept", noted: "noted" };

const gone = (speech, isGone) => ({ ...speech, utterances: speech.utterances.filter((one) => !isGone(one)) });

function withUtterance(speech, { ts, data }, patch) {
  if (data.utterance <= (speech.asked[data.input] ?? -1)) return speech;
  const key = keyOf(data);
  const { input, utterance } = data;
  const before = speech.utterances.find((one) => one.key === key);
  const changed = { key, input, utterance, state: "speaking", text: "", stable: 0, ...before, ts, ...patch };
  const others = speech.utterances.filter((one) => one.key !== key);
  const utterances = before ? speech.utterances.map((one) => (one === before ? changed : one)) : [...others, changed];
  return { ...speech, utterances: utterances.slice(-KEPT) };
}

function understood(speech, fact) {
  const { taken, text } = fact.data;
  const key = keyOf(fact.data);
  if (!Object.hasOwn(STATE_OF, taken)) return gone(speech, (one) => one.key === key);
  return withUtterance(speech, fact, { state: STATE_OF[taken], text, stable: [...text].length });
}

function compared(speech, fact) {
  const entries = [...Object.entries(speech.compared), [keyOf(fact.data), fact.data]];
  return { ...speech, compared: Object.fromEntries(entries.slice(-KEPT)) };
}

function withInput(speech, input, patch) {
  return { ...speech, inputs: { ...speech.inputs, [input]: { ...speech.inputs[input], ...patch } } };
}

function closed(speech, { data }) {
  const { [data.input]: _, ...inputs } = speech.inputs;
  return gone({ ...speech, inputs }, ({ input, state }) => input === data.input && state === "speaking");
}

/** The question is there: what was said for it need not be shown apart any more. */
function asked(speech, { data }) {
  if (!data.input) return speech;
  const last = Math.max(speech.asked[data.input] ?? -1, ...(data.utterances ?? []));
  const rest = gone(speech, ({ input, utterance }) => input === data.input && utterance <= last);
  return { ...rest, asked: { ...speech.asked, [data.input]: last } };
}

export const ON_SPEECH = {
  "input.opened": (speech, { data }) =>
    withInput(speech, data.input, {
      source: data.source,
      name: data.name ?? "",
      record: data.settings?.record !== false,
      ms: data.at_ms ?? 0,
      totalMs: data.total_ms ?? null,
    }),
  "input.progress": (speech, { data }) => withInput(speech, data.input, { ms: data.ms }),
  "input.closed": closed,
  "speech.started": (speech, fact) =>
    withUtterance(
      gone(speech, ({ input, state }) => input === fact.data.input && state === "failed"),
      fact,
      {},
    ),
  "speech.ended": (speech, fact) =>
    speech.utterances.some(({ key }) => key === keyOf(fact.data))
      ? withUtterance(speech, fact, { state: "understanding" })
      : speech,
  "speech.discarded": (speech, { data }) => gone(speech, ({ key }) => key === keyOf(data)),
  "transcript.partial": (speech, fact) =>
    withUtterance(speech, fact, { text: fact.data.text, stable: fact.data.stable }),
  "transcript.final": understood,
  "transcript.failed": (speech, fact) => withUtterance(speech, fact, { state: "failed", code: fact.data.code, message: fact.data.message }),
  "transcript.compared": compared,
  "turn.requested": asked,
};

/** The spoken beginning of a turn, or null: {input, utterances}. */
export const spokenIn = ({ data }) => (data.input ? { input: data.input, utterances: data.utterances ?? [] } : null);

/** The comparisons of what was said for `turn`. */
export const comparisonsOf = (speech, { spoken }) =>
  (spoken?.utterances ?? []).map((utterance) => speech.compared[keyOf({ ...spoken, utterance })]).filter(Boolean);
