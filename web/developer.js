/** The developer panel: the latency of the turn, its engines, the session's settings, code for it, and its events. */

import { orElse } from "./api.js";
import { asSentence, copyBy, icon, make, problemLine, say } from "./dom.js";
import { codeFor, latencyOf, matching, timingsOf, usageOf } from "./developer-facts.js";
import { offerModels, PATHS, sessionField, settingAt } from "./session-fields.js";
import { t } from "./strings.js";

const EVENTS = 100;
const TURNS = 50;

export class DeveloperPanel {
  /** Fills `element`, an `aside` that is shown and hidden elsewhere; `onClose()` by its own button. */
  constructor(element, onClose) {
    this._element = element;
    const label = t("Close the developer panel");
    this._close = make("button", { type: "button", class: "icon", "aria-label": label }, icon("close"));
    this._close.addEventListener("click", onClose);
    this._latency = make("ol", { class: "latency", "aria-label": t("Latency of the latest turn") });
    this._timings = make("tbody");
    this._usage = make("dl", { class: "facts" });
    this._without = make("p", { class: "note" }, t("In a chat or a story, the figures of the latest answer stand here."));
    this._problem = problemLine();
    this._fields = new Map(PATHS.map((path) => [path, sessionField(path, (patch) => this._save(path, patch))]));
    this._language = make("select", { "aria-label": t("Language of the code") });
    this._language.append(...["curl", "Python", "JavaScript"].map((name) => make("option", {}, name)));
    this._code = make("code");
    const hint = t("Type, turn:2 or any text…");
    this._filter = make("input", { type: "search", placeholder: hint, "aria-label": t("Filter events") });
    this._events = make("ol", { class: "events", "aria-label": t("The latest events of this session, newest first") });
    this._count = make("summary");
    this._none = make("p", { class: "note", role: "status", hidden: "" });
    this._place = null;
    this._seen = null;
    this._language.addEventListener("change", () => this._showCode());
    this._filter.addEventListener("input", () => this._showEvents());
    element.replaceChildren(...this._sections());
    void offerModels();
  }

  /** `place`: what is on show. */
  update(place) {
    if (this._element.hidden) return;
    const { story } = place;
    if (this._place === place && this._seen === story) return;
    const other = this._place !== place;
    this._place = place;
    this._seen = story;
    const turn = story?.turns[story.order.at(-1)];
    this._without.hidden = Boolean(turn);
    this._latency.replaceChildren(...latencyItems(turn));
    this._usage.replaceChildren(...usageItems(turn));
    this._timings.replaceChildren(...(story ? timingRows(timingsOf(story)) : []));
    for (const [path, { control }] of this._fields) {
      control.disabled = !place.changeSettings;
      const value = String(settingAt(story?.settings, path) ?? "");
      if (document.activeElement !== control && control.value !== value) control.value = value;
    }
    if (other || this._session !== place.about?.id) this._showCode();
    this._showEvents();
  }

  _sections() {
    const head = (text) => make("h3", {}, text);
    const copy = make("button", { type: "button", class: "quiet" }, t("Copy"));
    copy.addEventListener("click", () => copyBy(copy, this._code.textContent));
    const settings = make("details", {}, make("summary", {}, t("Session settings")), this._problem);
    settings.append(...[...this._fields.values()].map(({ element }) => element));
    settings.append(make("p", { class: "note" }, t("Of this session; they apply from the next turn on.")));
    const code = make("details", {}, make("summary", {}, t("View code")), this._language, copy);
    code.append(make("pre", { tabindex: "0", "aria-label": t("Code for this session"), role: "region" }, this._code));
    const events = make("details", { open: "" }, this._count, this._filter, this._none, this._events);
    const turn = [head(t("Latency")), this._without, this._latency, this._allTurns(), head(t("Turn")), this._usage];
    const title = make("header", {}, make("h2", {}, t("Developer")), this._close);
    const compare = make("a", { class: "quiet", href: "./?compare" }, t("Compare two models or voices"));
    return [title, ...turn, settings, code, compare, events];
  }

  _allTurns() {
    const heads = [t("Turn"), t("first token"), t("first audio"), t("heard")].map((text) => make("th", { scope: "col" }, text));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this._timings);
    return make("details", {}, make("summary", {}, t("All turns, in ms")), table);
  }

  /** A refusal stands below its field. */
  _save(path, patch) {
    say(this._problem, null);
    this._fields.get(path).element.after(this._problem);
    const refused = ({ message }) => say(this._problem, asSentence(message));
    return orElse(refused, () => this._place.changeSettings(patch));
  }

  _showCode() {
    this._session = this._place?.about?.id;
    const origin = new URL(".", document.baseURI).href.replace(/\/$/, "");
    this._code.textContent = codeFor(this._language.value, { origin, session: this._session });
  }

  _showEvents() {
    const { lastSeq = 0, log = [], order = [] } = this._seen ?? {};
    this._count.textContent = t("Events ({count})", { count: lastSeq });
    const found = matching(log, this._filter.value, order).slice(-EVENTS).reverse();
    say(this._none, log.length && !found.length ? t("No events match.") : null);
    const shown = new Map([...this._events.children].map((item) => [item.dataset.seq, item]));
    this._events.replaceChildren(...found.map((event) => shown.get(String(event.seq)) ?? entry(event)));
  }
}

/** The median first, then the latest turns, the newest first. */
function timingRows({ rows, median }) {
  const row = (name, cells) => make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((ms) => make("td", {}, String(ms ?? "–"))));
  const latest = rows.slice(-TURNS).reverse().map(([name, ...cells]) => row(name, cells));
  return rows.length > 1 ? [row(t("Median"), median), ...latest] : latest;
}

/** Elements for the steps of a turn, and for what it was made by. */
export const latencyItems = (turn) =>
  latencyOf(turn).map(([name, ms]) => make("li", {}, make("b", {}, ms === null ? "–" : `${ms} ms`), make("span", {}, name)));

export const usageItems = (turn) => usageOf(turn).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);

function entry({ seq, turn, type, data }) {
  const summary = make("summary", {}, make("span", {}, String(seq)), make("span", {}, type));
  const details = make("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const json = JSON.stringify({ seq, turn, type, data }, null, 2);
    details.append(make("pre", { tabindex: "0", role: "region", "aria-label": t("Event {seq}", { seq }) }, json));
  });
  return make("li", { "data-seq": String(seq) }, details);
}
