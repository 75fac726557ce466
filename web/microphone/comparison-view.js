/** Both ways of writing the same speech down, side by side. */

import { make } from "../dom.js";
import { t } from "../strings.js";
import { figures, marked, verdict } from "./comparison.js";
import { WAYS } from "./ways.js";

function textOf(runs) {
  return runs.flatMap(({ text, differs }, number) => [
    ...(number ? [" "] : []),
    differs ? make("mark", {}, text) : text,
  ]);
}

function column(way, runs) {
  const rows = figures(way).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  const name = WAYS.find(({ mode }) => mode === way.mode)?.name ?? way.mode;
  return make(
    "section",
    { class: "way" },
    make("h3", {}, name, " ", make("small", {}, way.engine)),
    make("p", { dir: "auto" }, ...(way.text ? textOf(runs) : [make("i", {}, t("No words"))])),
    make("dl", {}, ...rows),
  );
}

/** `data` of a `transcript.compared`; the way that was answered comes first. */
export function comparisonView(data) {
  const [first, second] = data.ways;
  const runs = marked(first.text, second?.text ?? "");
  const columns = data.ways.slice(0, 2).map((way, number) => column(way, runs[number]));
  const summary = make("summary", { class: "quiet" }, verdict(data));
  const details = make("details", { open: "" }, summary, make("div", { class: "ways" }, ...columns));
  return details;
}
