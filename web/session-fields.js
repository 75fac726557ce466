/** Fields for a session's settings: what a developer chooses, by the path of each setting. */

import { Api, orElse } from "./api.js";
import { byId, make } from "./dom.js";
import { t } from "./strings.js";

const numbers = (min, max, step) => ({ min: String(min), max: String(max), step: String(step) });

/** Path, label, kind and attributes of the control; of a select, the words for each of its values. */
const FIELDS = [
  ["system_prompt", t("System prompt"), "textarea", { rows: "3" }],
  ["llm_provider", t("Model provider"), "text", { placeholder: t("this server"), list: "llm-providers" }],
  ["llm_model", t("Model"), "text", { placeholder: t("the provider's own"), list: "llm-models" }],
  ["temperature", t("Temperature"), "number", numbers(0, 2, 0.01)],
  ["max_tokens", t("Length limit, tokens"), "number", numbers(1, 100_000, 1)],
  ["listening.mode", t("Transcription"), "select", { realtime: t("Fast"), quality: t("Accurate"), legacy: t("Legacy: whole answers") }],
  ["listening.compare", t("Transcribe in both ways"), "select", { false: t("No"), true: t("Yes, side by side") }],
  ["listening.endpointing.threshold", t("Voice activity, threshold"), "number", numbers(0.05, 0.95, 0.05)],
  ["listening.endpointing.silence_ms", t("Silence that ends speech, ms"), "number", numbers(100, 5_000, 1)],
  ["listening.endpointing.prefix_padding_ms", t("Padding before speech, ms"), "number", numbers(0, 2_000, 1)],
  ["listening.interrupt_ms", t("Speech that interrupts, ms"), "number", numbers(32, 5_000, 1)],
];

/** The paths of all fields. */
export const PATHS = FIELDS.map(([path]) => path);

export const settingAt = (settings, path) => path.split(".").reduce((part, name) => part?.[name], settings);

const patchOf = (path, value) => path.split(".").reduceRight((inner, name) => ({ [name]: inner }), value);

/** A label with its control: {element, control}; `onChange(patch)` with a part of the settings. */
export function sessionField(path, onChange) {
  const [, label, kind, attributes] = FIELDS.find(([one]) => one === path);
  const control = controlOf(kind, attributes);
  control.addEventListener("change", () => {
    const empty = kind === "text" ? null : kind === "number" ? undefined : "";
    const isText = kind === "text" || kind === "textarea" || path === "listening.mode";
    const value = control.value === "" ? empty : isText ? control.value : JSON.parse(control.value);
    if (value !== undefined) onChange(patchOf(path, value));
  });
  return { element: make("label", { class: "row" }, make("span", {}, label), control), control };
}

function controlOf(kind, attributes) {
  if (kind === "textarea") return make("textarea", attributes);
  if (kind !== "select") return make("input", { type: kind, ...attributes });
  return make("select", {}, ...Object.entries(attributes).map(([value, words]) => make("option", { value }, words)));
}

/** The models that may be chosen are offered as one types. */
export async function offerModels() {
  const models = await orElse(() => [], () => new Api().models());
  const offer = (id, values) => {
    byId(id)?.remove();
    document.body.append(make("datalist", { id }, ...values.map((value) => make("option", { value }))));
  };
  offer("llm-providers", [...new Set(models.map(({ provider }) => provider))]);
  offer("llm-models", models.map(({ model }) => model));
}
