/** The models of this server: which are in use, which are here, and which would fit. */

import { orElse } from "../api.js";
import { asSentence, make } from "../dom.js";
import { languageNames } from "../languages.js";
import { language, t } from "../strings.js";

const TITLES = { "language-model": t("Language models"), "speech-to-text": t("Speech to text"), voice: t("Voices") };
const STATES = { in_use: t("in use"), also_in_use: t("in use for its language"), installed: t("downloaded") };

/** A part that is filled when it is opened; `models()` asks the server. */
export function modelsSection(models) {
  const body = make("div");
  const section = make("details", { class: "models" }, make("summary", {}, t("Models")), body);
  const refused = ({ message }) => body.replaceChildren(make("p", { class: "problem" }, asSentence(message)));
  section.addEventListener("toggle", () => {
    if (section.open) void orElse(refused, async () => body.replaceChildren(...listOf(await models())));
  });
  return section;
}

function listOf({ models, free_megabytes: free }) {
  const size = free.toLocaleString(language);
  const note = t("{size} MB of memory are free. On the server: rhapsode models use NAME", { size });
  const lists = Object.entries(TITLES).map(([role, title]) => {
    const rows = models.filter((one) => one.role === role).map(rowOf);
    return make("section", {}, make("h4", {}, title), make("ul", {}, ...rows));
  });
  return [make("p", { class: "note" }, note), ...lists];
}

function rowOf({ name, role, languages, megabytes, state, fits }) {
  const said = STATES[state.replaceAll(" ", "_")] ?? (fits ? t("would fit") : t("needs more memory"));
  const size = megabytes ? `${megabytes.toLocaleString(language)} MB` : t("packaged");
  const spoken = role === "voice" && languages.length ? [languageNames(languages)] : [];
  return make("li", {}, make("strong", {}, name), ` ${[...spoken, size, said].join(", ")}`);
}
