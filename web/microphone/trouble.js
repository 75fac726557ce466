/** Why a microphone cannot be had, and what to do about it, in words. Pure. */

import { t } from "../strings.js";

const BLOCKED = t(
  "The microphone is blocked for this page. Allow it with the icon beside the address (or in the browser's site settings), then press the microphone again.",
);

const WORDS = {
  NotAllowedError: BLOCKED,
  SecurityError: BLOCKED,
  NotFoundError: t("No microphone was found. Plug one in or switch it on, then press the microphone again."),
  OverconstrainedError: t("No microphone here can do what is needed. Choose another one in the system's sound settings."),
  NotReadableError: t(
    "The microphone cannot be opened: another program may be using it. Close that program, then press the microphone again.",
  ),
  AbortError: t("The microphone could not be opened. Press it again; if that does not help, plug it out and in."),
  TimeoutError: t("The microphone does not answer. Plug it out and in, then press the microphone again."),
  insecure: t("Browsers allow the microphone only on https:// or localhost. Open this page there."),
  worklet: t("This browser cannot record: it has no AudioWorklet. A current Firefox, Chrome, Edge or Safari can."),
  unplugged: t("The microphone was disconnected. Press the microphone to go on with another one."),
  suspended: t("The browser has paused the microphone. Press it again to go on."),
};

/** The interface that this browser lacks, as a name for `inWords`, or null. `scope`: the object that would have it. */
export function lacking(scope) {
  if (scope.isSecureContext === false) return "insecure";
  if (!scope.navigator?.mediaDevices?.getUserMedia) return "worklet";
  return typeof scope.AudioWorkletNode === "undefined" ? "worklet" : null;
}

/** `name` of a DOMException of getUserMedia, or one of ours. */
export function inWords(name) {
  return Object.hasOwn(WORDS, name) ? WORDS[name] : t("The microphone could not be opened ({name}).", { name });
}
