/** How one is listened to: which way, who says when an utterance ends, what is kept. */

import { make, say } from "../dom.js";
import { WAYS } from "../microphone/ways.js";
import { section, toggle } from "./fields.js";

const SAVED_MS = 2_500;

/** The ways, one line each on what they are for; looks to the others like a field. */
function waysField(save) {
  const done = make("span", { class: "done", role: "status" });
  const problem = make("p", { class: "problem", role: "alert", hidden: "" });
  const radios = WAYS.map(({ mode, name, hint }) => {
    const input = make("input", { type: "radio", name: "way", value: mode });
    return make("label", {}, input, make("span", {}, name), make("span", { class: "note" }, hint));
  });
  const choices = make("fieldset", { class: "choices" }, make("legend", { class: "unseen" }, "Transcription"), ...radios);
  choices.addEventListener("change", ({ target }) => save(target.value));
  const element = make("div", { class: "setting" }, make("div", { class: "head" }, make("span", {}, "Transcription"), done));
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
  const saver = (name, valueOf) => async (value) => {
    fields[name].say("Saving…", "");
    const refused = await listening.choose({ [name]: valueOf(value) });
    fields[name].say(refused ? null : "Saved", refused ?? "");
    setTimeout(() => fields[name].say(null, null), SAVED_MS);
    show();
  };
  const same = (value) => value;
  const fields = {
    mode: waysField(saver("mode", same)),
    turn_detection: toggle(
      "Push to talk",
      "Off: an utterance ends by itself when you fall silent.",
      saver("turn_detection", (isHeld) => (isHeld ? "manual" : "vad")),
    ),
    barge_in: toggle("Allow interruptions", "Speaking stops the answer.", saver("barge_in", same)),
    record: toggle("Save my audio", "It can be replayed, and is deleted with the session.", saver("record", same)),
  };
  const show = () => {
    const { turn_detection: detection, ...others } = listening.settings;
    fields.turn_detection.show(detection === "manual");
    for (const [name, field] of Object.entries(fields)) {
      if (name !== "turn_detection") field.show(others[name]);
    }
  };
  show();
  return section("Microphone", fields);
}
