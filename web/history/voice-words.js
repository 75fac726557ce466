/** Speech and hearing, event by event, in a few words. Pure. */

import { refusalOf } from "../refusals.js";
import { t } from "../strings.js";

const inSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const utterance = (data) => t("utterance {number}", { number: data.utterance + 1 });

const CLOSED = {
  client: t("it was switched off"),
  end: t("the recording is over"),
  cut: t("the connection was lost"),
  session_ended: t("the session ended"),
  failed: t("it failed"),
};
const TAKEN = {
  turn: t("Asked"),
  joined: t("Asked, together with what was said before"),
  kept: t("Waits for the rest"),
  backchannel: t("Backchannel"),
  nothing: t("No words in"),
  noted: t("Noted"),
};

function opened({ source, name, at_ms: at }) {
  const what = source === "file" ? t("the recording {name}", { name: name ?? "" }).trim() : t("a microphone");
  return at ? t("Input reopened: {what}, from {time} on", { what, time: inSeconds(at) }) : t("Input opened: {what}", { what });
}

function understood({ text, taken, mode, after_ms: after }) {
  const quoted = text ? `: “${text}”` : "";
  return `${TAKEN[taken] ?? t("Transcribed")}${quoted} (${t("{mode}, after {ms} ms", { mode, ms: Math.round(after) })})`;
}

const FLUSHED = {
  barge_in: t("Playback stopped: the user spoke"),
  user: t("Playback stopped: stop was requested"),
  merged: t("Playback stopped: the question was extended"),
};

/** Of the session itself. Events that come many times a second, such as sound and partial transcripts, are left out. */
export const SAID_IN_SESSION = {
  "input.opened": opened,
  "input.closed": (data) =>
    t("Input closed: {reason}", { reason: CLOSED[data.reason] ?? data.reason }) + (data.message ? ` (${data.message})` : ""),
  "speech.started": (data) => t("Speech started ({what})", { what: utterance(data) }),
  "speech.ended": (data) => 
    t("Speech ended: {what}, {time}", { what: utterance(data), time: inSeconds(data.end_ms - data.start_ms) }),
  "speech.discarded": (data) => t("Discarded: {what}", { what: utterance(data) }),
  "transcript.final": understood,
  "transcript.failed": (data) => t("Not transcribed ({mode}): {message}", { ...data, message: refusalOf(data) }),
  "transcript.compared": ({ ways, differences, words }) =>
    `${
      differences.length
        ? t("Modes compared: {count} differences in {words} words", { count: differences.length, words })
        : t("Modes compared: no difference")
    }; ${ways.map(({ mode, after_ms: after }) => t("{mode} after {ms} ms", { mode, ms: Math.round(after) })).join(", ")}`,
  "playback.paused": ({ by }) => (by === "voice" ? t("Paused: the user spoke") : t("Paused")),
  "playback.resumed": ({ by }) => (by === "voice" ? t("Resumed after the user spoke") : t("Resumed")),
};

/** Of a turn: what to note down. */
export const SAID_OF_TURN = {
  "playback.flushed": ({ reason }) => FLUSHED[reason] ?? t("Playback stopped"),
};

const STOPS = { barge_in: t("Stop requested: the user spoke"), merged: t("Stop requested: the question was extended") };

export const stopInWords = ({ reason }) => STOPS[reason] ?? t("Stop requested");

export const heardInWords = (ms) => t("Heard for {time}", { time: inSeconds(ms) });
