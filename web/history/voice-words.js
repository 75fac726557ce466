/** What was said and heard, fact by fact, in a few words. Pure. */

const inSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const utterance = (data) => `utterance ${data.utterance + 1}`;

const CLOSED = {
  client: "it was switched off",
  end: "the recording is over",
  cut: "the connection was lost",
  session_ended: "the session ended",
  failed: "it failed",
};
const TAKEN = {
  turn: "Asked",
  joined: "Asked, together with what was said before",
  kept: "Waits for the rest",
  backchannel: "A word of agreement",
  nothing: "No words in",
  noted: "Noted",
};

function opened({ source, name, at_ms: at }) {
  const what = source === "file" ? `the recording ${name}`.trim() : "a microphone";
  return at ? `Listened to ${what} again, from ${inSeconds(at)} on` : `Listened to ${what}`;
}

function understood({ text, taken, mode, after_ms: after }) {
  const quoted = text ? `: “${text}”` : "";
  return `${TAKEN[taken] ?? "Understood"}${quoted} (${mode}, after ${Math.round(after)} ms)`;
}

const FLUSHED = {
  barge_in: "Fell silent: somebody spoke",
  user: "Fell silent: it was stopped",
  merged: "Fell silent: it was asked anew",
};

/** Of the session itself. What comes many times a second, such as sound and partial transcripts, is left out. */
export const SAID_IN_SESSION = {
  "input.opened": opened,
  "input.closed": (data) =>
    `No longer listened: ${CLOSED[data.reason] ?? data.reason}${data.message ? ` (${data.message})` : ""}`,
  "speech.started": (data) => `Somebody began to speak (${utterance(data)})`,
  "speech.ended": (data) => `Spoken to the end: ${utterance(data)}, ${inSeconds(data.end_ms - data.start_ms)}`,
  "speech.discarded": (data) => `Taken back: ${utterance(data)}`,
  "transcript.final": understood,
  "transcript.failed": (data) => `Not understood (${data.mode}): ${data.message}`,
  "transcript.compared": ({ ways, differences, words }) =>
    `Both ways compared: ${differences.length ? `${differences.length} differences in ${words} words` : "no difference"}; ` +
    ways.map(({ mode, after_ms: after }) => `${mode} after ${Math.round(after)} ms`).join(", "),
  "playback.paused": ({ by }) => (by === "voice" ? "Held: somebody spoke over it" : "Paused"),
  "playback.resumed": ({ by }) => (by === "voice" ? "Went on: it was no interruption" : "Went on"),
};

/** Of a turn: what to note down. */
export const SAID_OF_TURN = {
  "playback.flushed": ({ reason }) => FLUSHED[reason] ?? "Fell silent",
};

const STOPS = { barge_in: "Stop asked for: somebody spoke", merged: "Stop asked for: it was asked anew" };

export const stopInWords = ({ reason }) => STOPS[reason] ?? "Stop asked for";

export const heardInWords = (ms) => `Heard for ${inSeconds(ms)}`;
