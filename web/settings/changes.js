/** The history of the settings, newest first. */

import { make } from "../dom.js";
import { when } from "../times.js";
import { t } from "../strings.js";

const NAMES = {
  tts_enabled: t("Read scenes out"),
  realtime_tts_enabled: t("Read while writing"),
  auto_play_last_scene: t("Auto-play last scene"),
  min_sentence_length: t("Minimum chunk length"),
  default_voice: t("Voice"),
  speech_speed: t("Speed"),
  tts_provider: t("Speech provider"),
  tts_timeout: t("Timeout"),
  tts_extra_params: t("Advanced parameters"),
};

function inWords(value) {
  if (value === true) return t("on");
  if (value === false) return t("off");
  if (value === null || value === undefined) return t("the server's choice");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const differs = (one, other) => JSON.stringify(one) !== JSON.stringify(other);

/** The differences of each entry from the one before; of the first one, all of it that is known to be chosen. */
export function changesIn(history) {
  return history.map(({ changed_ms: at, preferences }, number) => {
    const before = history[number - 1]?.preferences ?? {};
    const names = Object.keys(preferences).filter((name) => number > 0 && differs(preferences[name], before[name]));
    const changes = names.map((name) => ({ name: NAMES[name] ?? name, value: inWords(preferences[name]) }));
    return { at, changes };
  });
}

export function historyOf(history) {
  if (history.length === 0) return make("p", { class: "note" }, t("No changes yet: all settings are the defaults."));
  const items = changesIn(history)
    .reverse()
    .map(({ at, changes }) => {
      const text =
        changes.map(({ name, value }) => `${name}: ${value}`).join(", ") || t("Settings when they were first saved");
      return make("li", {}, make("time", { datetime: new Date(at).toISOString() }, when(at)), " ", text);
    });
  return make("ol", {}, ...items);
}
