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
  backchannel: "Backchannel",
  nothing: "No words in",
  noted: "Noted",
};

function opened({ source, name, at_ms: at }) {
  const what = source === "file" ? `the recording ${name}`.trim() : "a microphone";
  return at ? `Input reopened: ${what}, from ${inSeconds(at)} on` : `Input opened: ${what}`;
}

function understood({ text, taken, mode, after_ms: after }) {
  const quoted = text ? `: “${text}”` : "";
  return `${TAKEN[taken] ?? "Transcribed"}${quoted} (${mode}, after ${Math.round(after)} ms)`;
}

const FLUSHED = {
  barge_in: "Playback stopped: the user spoke",
  user: "Playback stopped: stop was requested",
  merged: "Playback stopped: the question was extended",
};

/** Of the session itself. What comes many times a second, such as sound and partial transcripts, is left out. */
export const SAID_IN_SESSION = {
  "input.opened": opened,
  "input.closed": (data) =>
    `Input closed: ${CLOSED[data.reason] ?? data.reason}${data.message ? ` (${data.message})` : ""}`,
  "speech.started": (data) => `Speech started (${utterance(data)})`,
  "speech.ended": (data) => `Speech ended: ${utterance(data)}, ${inSeconds(data.end_ms - data.start_ms)}`,
  "speech.discarded": (data) => `Discarded: ${utterance(data)}`,
  "transcript.final": understood,
  "transcript.failed": (data) => `Not transcribed (${data.mode}): ${data.message}`,
  "transcript.compared": ({ ways, differences, words }) =>
    `Modes compared: ${differences.length ? `${differences.length} differences in ${words} words` : "no difference"}; ` +
    ways.map(({ mode, after_ms: after }) => `${mode} after ${Math.round(after)} ms`).join(", "),
  "playback.paused": ({ by }) => (by === "voice" ? "Paused: the user spoke" : "Paused"),
  "playback.resumed": ({ by }) => (by === "voice" ? "Resumed after the user spoke" : "Resumed"),
};

/** Of a turn: what to note down. */
export const SAID_OF_TURN = {
  "playback.flushed": ({ reason }) => FLUSHED[reason] ?? "Playback stopped",
};

const STOPS = { barge_in: "Stop requested: the user spoke", merged: "Stop requested: the question was extended" };

export const stopInWords = ({ reason }) => STOPS[reason] ?? "Stop requested";

export const heardInWords = (ms) => `Heard for ${inSeconds(ms)}`;
