/** Settings of listening: the mode, the end of an utterance, the sound that is kept. */

import { make, problemLine, say } from "../dom.js";
import { languageNames } from "../languages.js";
import { WAYS } from "../microphone/ways.js";
import { t } from "../strings.js";
import { choice, options, section, toggle } from "./fields.js";

const SAVED_MS = 2_500;
const SPOKEN =
  "ar bg ca cs da de el en es fi fr he hi hr hu id it ja ko ms nl no pl pt ro ru sk sl sv ta th tr uk ur vi zh".split(" ");

/** Of `endpointing`, as in Realtime's semantic_vad. */
const EAGERNESS = {
  [t("Quick")]: { silence_ms: 300, doubtful_ms: 600, incomplete_ms: 2_000 },
  [t("Standard")]: { silence_ms: 500, doubtful_ms: 900, incomplete_ms: 900 },
  [t("Patient")]: { silence_ms: 800, doubtful_ms: 1_600, incomplete_ms: 8_000 },
};
const SENSITIVITY = {
  [t("High, for quiet voices")]: { threshold: 0.35 },
  [t("Standard")]: { threshold: 0.5 },
  [t("Low, for noisy rooms")]: { threshold: 0.7 },
};

/** A choice between the presets of `table`; values that are none of them are "Custom". */
function presets(label, table, hint, save) {
  const made = choice(label, null, (name) => save(table[name]), hint);
  const matches = (preset, now) => Object.entries(preset).every(([key, value]) => now[key] === value);
  const show = (now) => {
    const name = Object.keys(table).find((one) => matches(table[one], now)) ?? "";
    options(made, [...(name ? [] : [["", t("Custom")]]), ...Object.keys(table).map((one) => [one, one])]);
    made.show(name);
  };
  return { ...made, show };
}

function languageField(save) {
  const made = choice(t("Language you speak"), null, save);
  const show = (tag) => {
    const others = tag && tag !== "auto" && !SPOKEN.includes(tag) ? [tag] : [];
    const named = [...SPOKEN, ...others].map((one) => [one, languageNames([one])]);
    const sorted = named.sort(([, one], [, other]) => one.localeCompare(other));
    options(made, [["", t("That of the chat")], ["auto", t("Detect each time")], ...sorted]);
    made.show(tag);
  };
  return { ...made, show };
}

/** The ways, one line each on what they are for; looks to the others like a field. */
function waysField(save) {
  const done = make("span", { class: "done", role: "status" });
  const problem = problemLine();
  const radios = WAYS.map(({ mode, name, hint }) => {
    const input = make("input", { type: "radio", name: "way", value: mode });
    return make("label", {}, input, make("span", {}, name), make("span", { class: "note" }, hint));
  });
  const choices = make("fieldset", { class: "choices" }, make("legend", { class: "unseen" }, t("Transcription")), ...radios);
  choices.addEventListener("change", ({ target }) => save(target.value));
  const element = make("div", { class: "setting" }, make("div", { class: "head" }, make("span", {}, t("Transcription")), done));
  element.append(choices, problem);
  const show = (mode) => {
    for (const input of choices.querySelectorAll("input")) input.checked = input.value === mode;
  };
  const told = (good, bad) => {
    done.textContent = good ?? "";
    if (bad !== null) say(problem, bad);
  };
  return { element, show, say: told };
}

/** `listening`: {settings, choose(patch)} of the place; they count for this session and for those begun from now on. */
export function listeningSection(listening) {
  const saver = (name, valueOf, setting = name) => async (value) => {
    fields[name].say(t("Saving…"), "");
    const refused = await listening.choose({ [setting]: valueOf(value) });
    fields[name].say(refused ? null : t("Saved"), refused ?? "");
    setTimeout(() => fields[name].say(null, null), SAVED_MS);
    show();
  };
  const same = (value) => value;
  const fields = {
    mode: waysField(saver("mode", same)),
    language: languageField(saver("language", same)),
    eagerness: presets(t("Reply"), EAGERNESS, t("How long a pause is waited for."), saver("eagerness", same, "endpointing")),
    sensitivity: presets(t("Sensitivity"), SENSITIVITY, null, saver("sensitivity", same, "endpointing")),
    turn_detection: toggle(
      t("Push to talk"),
      t("Off: an utterance ends by itself when you fall silent."),
      saver("turn_detection", (isHeld) => (isHeld ? "manual" : "vad")),
    ),
    barge_in: toggle(t("Allow interruptions"), t("Speaking stops the answer."), saver("barge_in", same)),
    record: toggle(t("Save my audio"), t("It can be replayed, and is deleted with the chat."), saver("record", same)),
  };
  const show = () => {
    const { turn_detection: detection, endpointing, ...others } = listening.settings;
    const shown = { ...others, turn_detection: detection === "manual", eagerness: endpointing, sensitivity: endpointing };
    for (const [name, field] of Object.entries(fields)) field.show(shown[name]);
  };
  show();
  return section(t("Talking"), fields, t("Of this chat, and of those that you begin in this browser."));
}
