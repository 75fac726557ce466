/** Characters: who they are, how they sound, and what they know. */

import { make, problemLine, say } from "../dom.js";
import { languageNames } from "../languages.js";
import { ConversationsApi } from "./api.js";
import { announce, furnish, knowledge, quiet, removing, tried } from "./furniture.js";
import { t } from "../strings.js";

const LANGUAGES = [
  ["", t("Default")],
  ["auto", t("As the question")],
  ...["en", "ar", "de", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh"].map((tag) => [
    tag,
    languageNames([tag]),
  ]),
];

export class CharactersPlace {
  title = t("Characters");

  constructor() {
    this._api = new ConversationsApi();
    this._collections = [];
    this._voices = [];
    this._problem = problemLine();
    this._list = make("ul", { class: "shelf", "aria-label": t("Your characters") });
    this._empty = make("p", { class: "note", hidden: "" });
    this._saved = make("p", { class: "note", role: "status" });
    this._form = make("div");
  }

  leave() {}

  async start() {
    furnish("characters", this._problem, this._list, this._empty, this._saved, this._form);
    await tried(this._problem, async () => {
      const [{ voices, languages }, { collections }] = await Promise.all([this._api.voices(), this._api.collections({ limit: 200 })]);
      const spoken = Object.assign({}, ...Object.values(languages).reverse());
      this._voices = voices.map((id) => [id, `${id} (${languageNames(spoken[id])})`]);
      this._collections = collections.filter(({ thread }) => !thread); // no chat's files
      this._edit(null);
      await this._load();
    });
  }

  async _load() {
    const characters = await this._api.characters();
    this._list.replaceChildren(...characters.map((character) => this._item(character)));
    say(this._empty, characters.length ? null : t("No characters yet. Create the first one below."));
  }

  _item(character) {
    const { id, name, persona } = character;
    const knows = this._collections.filter((one) => character.collections.includes(one.id)).map((one) => one.name);
    const about = [persona.slice(0, 100), ...(knows.length ? [t("knows {names}", { names: knows.join(", ") })] : [])].filter(Boolean);
    const edit = quiet(t("Edit"), t("Edit {name}", { name }));
    edit.addEventListener("click", () => this._edit(character));
    const talk = make("a", { href: `./?with=${encodeURIComponent(id)}` });
    talk.append(make("strong", {}, name), make("span", { class: "about" }, about.join(" · ")));
    const remove = removing(name, () =>
      tried(this._problem, async () => {
        await this._api.removeCharacter(id);
        await this._load();
        announce(t("{name} is deleted", { name }));
      }),
    );
    return make("li", {}, talk, edit, remove);
  }

  /** The form shows this one, or is empty for a new one. */
  _edit(character) {
    const name = make("input", { id: "character-name", maxlength: "100", required: "", placeholder: t("Ines, the keeper") });
    const persona = make("textarea", { id: "character-persona", rows: "3", maxlength: "6000" });
    persona.placeholder = t("Who it is and how it speaks: an old lighthouse keeper, dry and kind…");
    const voice = choice("character-voice", [["", t("Default")], ...this._voices]);
    const spoken = character?.language ?? "";
    const others = LANGUAGES.some(([tag]) => tag === spoken) ? [] : [[spoken, languageNames([spoken])]];
    const language = choice("character-language", [...LANGUAGES, ...others]);
    const known = knowledge(this._collections, t("What it knows"));
    const problem = problemLine();
    name.value = character?.name ?? "";
    persona.value = character?.persona ?? "";
    voice.value = character?.voice ?? "";
    language.value = character?.language ?? "";
    known.show(character?.collections ?? []);
    const send = make("button", { type: "submit", class: "button" }, character ? t("Save") : t("Create character"));
    const cancel = character ? [quiet(t("Cancel"))] : [];
    const form = make(
      "form",
      { class: "begin", autocomplete: "off", "aria-label": character ? t("Change {name}", { name: character.name }) : t("A new character") },
      ...[make("label", { for: name.id }, t("Name")), name],
      ...[make("label", { for: persona.id }, t("Persona")), persona],
      ...[make("label", { for: voice.id }, t("Voice")), voice],
      ...[make("label", { for: language.id }, t("Language")), language],
      known.element,
      make("div", { class: "buttons" }, send, ...cancel),
      problem,
    );
    cancel[0]?.addEventListener("click", () => this._edit(null));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (send.disabled) return;
      send.disabled = true;
      const wish = { name: name.value.trim(), persona: persona.value.trim(), collections: known.value };
      const done = await tried(problem, async () => {
        const told = { ...wish, voice: voice.value || null, language: language.value || null };
        await this._api.saveCharacter(character?.id ?? null, told);
        await this._load();
      });
      send.disabled = false;
      if (!done) return;
      this._saved.textContent = t("{name} is saved.", { name: wish.name });
      this._edit(null);
    });
    this._form.replaceChildren(form);
    if (character) name.focus();
  }
}

function choice(id, options) {
  return make("select", { id }, ...options.map(([value, words]) => make("option", { value }, words)));
}
