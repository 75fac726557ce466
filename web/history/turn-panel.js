/** One turn of the timeline: its text, its picture, and the same in numbers. */

import { make } from "../dom.js";
import { howLong } from "../times.js";
import { TurnView } from "../turn-view.js";
import { latencies, moments } from "./chronicle.js";
import { pictureOf } from "./picture.js";
import { t } from "../strings.js";

export const inMs = (ms) => `${Math.round(ms).toLocaleString("en")} ms`;

export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((text) => make("td", {}, text))),
  );
  return make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
}

export class TurnPanel {
  constructor(turn, number, handlers) {
    this._number = number;
    this.text = new TurnView(turn, { onUnfold: () => {}, ...handlers });
    this.element = this.text.element;
    this._delays = make("p", { class: "delays" });
    this._figure = make("figure", {});
    this._numbers = make("details", { class: "numbers" }, make("summary", {}, t("Details")), make("div"));
    this._numbers.addEventListener("toggle", () => this._fill?.());
    this.element.append(this._delays, this._figure, this._numbers);
  }

  /** `turn`: of the story; `told`: of the chronicle. */
  update(turn, told, spans, chronicle) {
    this.text.update(turn, false);
    this.text.told({ asker: turn.by, stopper: turn.stoppedBy });
    const end = spans.at(-1)?.to ?? 0;
    const seen = [told.version, end, chronicle.pauses.length, told.endAt ?? chronicle.latestAt].join(" ");
    if (seen === this._seen) return;
    this._seen = seen;
    const delays = latencies(told).map(([name, ms]) => make("span", {}, `${name} `, make("b", {}, inMs(ms))));
    this._delays.replaceChildren(...delays);
    const picture = pictureOf(told, spans, chronicle);
    const spoken = latencies(told).map(([name, ms]) => t("{name} after {time}", { name, time: howLong(ms) }));
    picture.setAttribute("aria-label", t("Turn {number}: {delays}. The numbers follow.", { number: this._number, delays: spoken.join(", ") }));
    this._figure.replaceChildren(picture);
    this._fill = () => this._numbers.open && this._tell(told, spans, chronicle);
    this._fill();
  }

  _tell(told, spans, chronicle) {
    const zero = told.requestedAt;
    const rows = moments(told, chronicle, spans).map(({ at, what }, number, all) => [
      what,
      inMs(at - zero),
      number ? inMs(at - all[number - 1].at) : "",
    ]);
    const tables = [
      table(
        t("Turn {number}, moment by moment", { number: this._number }),
        [t("What"), t("After being asked"), t("Since the line above")],
        rows,
      ),
    ];
    const sentences = told.sentences.filter((sentence) => sentence?.voicedAt);
    if (sentences.length) tables.push(sentenceTable(sentences, spans, zero));
    this._numbers.lastElementChild.replaceChildren(...tables);
  }
}

function sentenceTable(sentences, spans, zero) {
  const heardAt = new Map(spans.map(({ number, from }) => [number, from]));
  const rows = sentences.map(({ number, readyAt, firstSoundAt, doneAt, ms }) => [
    String(number + 1),
    readyAt === null ? "" : inMs(readyAt - zero),
    firstSoundAt === null || readyAt === null ? "" : inMs(firstSoundAt - readyAt),
    doneAt === null || firstSoundAt === null ? "" : inMs(doneAt - firstSoundAt),
    inMs(ms),
    heardAt.has(number) ? inMs(heardAt.get(number) - zero) : "",
  ]);
  return table(t("Its sentences"), ["", t("Ready"), t("Wait for sound"), t("Made in"), t("Sound"), t("Heard at")], rows);
}
