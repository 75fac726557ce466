/** The settings of narration: each is kept as soon as it is changed, and says so. */

import { orElse } from "../api.js";
import { user } from "../credentials.js";
import { makeDialog } from "../dialog.js";
import { asSentence, byId, make, problemLine, say } from "../dom.js";
import { voiceOptions } from "../languages.js";
import { StoriesApi } from "../stories/api.js";
import { beginAnew, forget } from "../staying.js";
import { t } from "../strings.js";
import { DeviceSettings } from "./devices.js";
import { ExtraRows } from "./extra.js";
import { choice, number, options, range, section, toggle } from "./fields.js";
import { historyOf } from "./changes.js";
import { interfaceSection } from "./interface.js";
import { listeningSection } from "./listening.js";
import { modelsSection } from "./models.js";
import { Preview } from "./preview.js";

const LOCAL = "local"; // the server's name for its own voice
const SAVED_MS = 2_500;
const OF_STORIES = t("Yours, in every browser. A chat has its speed and speaker beside its player.");
const OF_NARRATION = ["realtime_tts_enabled", "auto_play_last_scene"]; // mean nothing while nothing is read out

/** Open the sheet; `onChange(preferences)` after every change; `listening` and `devices` of the page. */
export function openSettings({ onChange, listening, devices }) {
  if (!byId("settings")) new SettingsPanel(onChange, listening).open(devices);
}

class SettingsPanel {
  constructor(onChange, listening) {
    this._listening = listening;
    this._api = new StoriesApi();
    this._onChange = onChange;
    this._preferences = null;
    this._voices = [];
    this._saving = Promise.resolve();
    this._waiting = new Map(); // by name: changes that the server has not answered
    const save = (name) => (value) => this._save(name, value);
    this._preview = new Preview(this._api, () => this._wishes());
    this._fields = {
      tts_enabled: toggle(t("Read scenes out"), t("Off: nothing is read out by itself."), save("tts_enabled")),
      realtime_tts_enabled: toggle(
        t("Read while writing"),
        t("Hear narration while a scene is being written."),
        save("realtime_tts_enabled"),
      ),
      auto_play_last_scene: toggle(
        t("Auto-play last scene"),
        t("Automatically narrate new scenes after generation completes."),
        save("auto_play_last_scene"),
      ),
      default_voice: choice(t("Voice"), this._preview.button, save("default_voice")),
      speech_speed: range(t("Speed"), { min: 0.5, max: 2, step: 0.05, unit: "×" }, save("speech_speed")),
      min_sentence_length: number(
        t("Minimum chunk length"),
        { min: 1, max: 500, unit: t("characters"), hint: t("Shorter ones are joined to the next.") },
        save("min_sentence_length"),
      ),
      tts_provider: choice(t("Speech provider"), null, save("tts_provider")),
      tts_timeout: number(
        t("Timeout"),
        { min: 1, max: 300, unit: t("seconds"), empty: t("as configured"), hint: t("How long it may be silent.") },
        save("tts_timeout"),
      ),
      tts_extra_params: new ExtraRows(save("tts_extra_params")),
    };
  }

  open(devices) {
    this._problem = problemLine();
    this._changes = make("details", { class: "changes" }, make("summary", {}, t("Change history")), make("div"));
    this._changes.addEventListener("toggle", () => this._changes.open && this._showChanges());
    const { tts_enabled, realtime_tts_enabled, auto_play_last_scene, ...rest } = this._fields;
    const { default_voice, speech_speed, min_sentence_length, ...provider } = rest;
    const hardware = new DeviceSettings(devices);
    const groups = [
      ...(this._listening ? [listeningSection(this._listening)] : []),
      hardware.element,
      section(t("Narration of stories"), { tts_enabled, realtime_tts_enabled, auto_play_last_scene }, OF_STORIES),
      section(t("Voice of stories"), { default_voice, speech_speed, min_sentence_length }, OF_STORIES),
      section(t("Speech provider of stories"), provider, OF_STORIES),
    ];
    const models = modelsSection(() => this._api.models());
    this._form = make("form", { hidden: "" }, ...groups, interfaceSection(), models, this._changes, ...signOut());
    this._form.prepend(...this._search());
    this._form.addEventListener("submit", (event) => event.preventDefault());
    const dialog = makeDialog(t("Settings"), { id: "settings", kind: "sheet" }, this._problem, this._form);
    dialog.addEventListener("close", () => {
      this._preview.stop();
      hardware.close();
    });
    void this._load();
  }

  /** A field that leaves the settings whose words have what is typed, and a line for when there are none. */
  _search() {
    const words = t("Search the settings");
    const input = make("input", { type: "search", "aria-label": words, placeholder: `${words}…` });
    const none = make("p", { class: "note", role: "status", hidden: "" });
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let found = false;
      for (const group of this._form.querySelectorAll("fieldset:not(.choices), details")) {
        const named = group.firstElementChild.textContent.toLowerCase().includes(wanted);
        const parts = [...group.querySelectorAll(".setting")];
        for (const part of parts) part.classList.toggle("unmatched", !named && !part.textContent.toLowerCase().includes(wanted));
        const matches = named || parts.some((part) => !part.classList.contains("unmatched"));
        group.classList.toggle("unmatched", !matches);
        found ||= matches;
      }
      say(none, found ? null : t("No setting has these words."));
    });
    return [input, none];
  }

  async _load() {
    const refused = ({ message }) => say(this._problem, asSentence(message));
    await orElse(refused, async () => {
      [this._voices, this._preferences] = await Promise.all([this._api.voices(), this._api.preferences()]);
      this._form.hidden = false;
      this._show();
    });
  }

  /** One change after the other, so that the last one stands. */
  _save(name, value) {
    this._waiting.set(name, (this._waiting.get(name) ?? 0) + 1);
    this._saving = this._saving.then(() => {
      this._waiting.set(name, this._waiting.get(name) - 1);
      return this._put(name, value);
    });
    return this._saving;
  }

  async _put(name, value) {
    const field = this._fields[name];
    field.say(t("Saving…"), "");
    const refused = ({ message }) => {
      field.say(null, asSentence(message.replace(/^[\w.]+: /, "")));
      if (name !== "tts_extra_params") this._show({ except: name });
    };
    await orElse(refused, async () => {
      this._preferences = await this._api.prefer({ [name]: value });
      field.say(t("Saved"), "");
      setTimeout(() => field.say(null, null), SAVED_MS);
      this._show({ except: name === "tts_extra_params" ? name : null });
      this._onChange(this._preferences);
      if (this._changes.open) await this._showChanges();
    });
  }

  /** Also of somebody who has chosen a voice a moment ago. */
  async _wishes() {
    await this._saving;
    const { default_voice: voice, tts_provider: provider, speech_speed: speed } = this._preferences;
    const first = this._voices.find((one) => one.provider === (provider ?? LOCAL)) ?? this._voices[0];
    return { voice: voice ?? first?.id, provider, speed };
  }

  /** Shows the server's settings; `except`, and fields whose newer values are on their way to it, keep what they hold. */
  _show({ except = null } = {}) {
    const provider = this._preferences.tts_provider ?? LOCAL;
    const others = [...new Set(this._voices.map((voice) => voice.provider))].filter((name) => name !== LOCAL);
    options(this._fields.tts_provider, [["", t("This server")], ...others.map((name) => [name, name])]);
    const voices = this._voices.filter((voice) => voice.provider === provider);
    this._showVoices(voices);
    for (const [name, field] of Object.entries(this._fields)) {
      if (name !== except && !this._waiting.get(name)) field.show(this._preferences[name]);
    }
    for (const name of OF_NARRATION) this._fields[name].control.disabled = !this._preferences.tts_enabled;
  }

  _showVoices(voices) {
    const { control } = this._fields.default_voice;
    const made = [make("option", { value: "" }, t("Default")), ...voiceOptions(voices)];
    const same = made.length === control.children.length && made.every((one, at) => one.isEqualNode(control.children[at]));
    if (!same) control.replaceChildren(...made);
  }

  async _showChanges() {
    const [, body] = this._changes.children;
    const refused = ({ message }) => body.replaceChildren(make("p", { class: "problem" }, asSentence(message)));
    await orElse(refused, async () => body.replaceChildren(historyOf(await this._api.preferencesHistory())));
  }
}

/** A way to sign out, in all tabs of this browser. */
function signOut() {
  const name = user();
  if (!name) return [];
  const button = make("button", { type: "button", class: "quiet" }, t("Sign out"));
  button.addEventListener("click", () => {
    forget();
    beginAnew(name);
  });
  return [make("p", { class: "note" }, t("Signed in as {name}.", { name })), button];
}
