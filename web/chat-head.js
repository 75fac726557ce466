/** Whom a chat is with, what it knows and which model answers: chosen in its title, at any time. */

import { Api, orElse } from "./api.js";
import { ConversationsApi } from "./conversations/api.js";
import { knowledge, tried } from "./conversations/furniture.js";
import { byId, make, problemLine, say } from "./dom.js";
import { t } from "./strings.js";

const DEFAULT = t("Default assistant");
const modelName = ({ llm_provider: provider, llm_model: model }) => model ?? provider ?? t("Default");

export class ChatHead {
  /** `onWish({character}, {collections} or {llm_provider, llm_model})` keeps what was chosen, or rejects with a Problem. */
  constructor({ onWish }) {
    this._api = new ConversationsApi();
    this._onWish = onWish;
    this._names = { characters: new Map(), collections: new Map() }; // by id
    this._chosen = { character: null, collections: [], llm_provider: null, llm_model: null };
    this._chat = null;
    this._button = byId("with");
    this._panel = byId("with-panel");
    this._panel.addEventListener("beforetoggle", ({ newState }) => newState === "open" && this._fill());
    if (this._panel.matches(":popover-open")) this._fill(); // opened before there was a script
  }

  /**
   * `settings`: of the session, or what was chosen before there is one; null: there is nothing to choose here. `chat`: the
   * session's id, whose own files are offered beside what is no chat's.
   */
  show(settings, chat = this._chat) {
    this._chat = chat;
    this._button.hidden = !settings;
    if (!settings) return;
    const { character = null, collections = [], llm_provider = null, llm_model = null } = settings;
    const chosen = { character, collections, llm_provider, llm_model };
    if (JSON.stringify(chosen) !== JSON.stringify(this._chosen)) {
      this._chosen = chosen;
      void this._learn();
    }
    const known = collections.map((id) => this._names.collections.get(id) || "documents");
    const who = character ? (this._names.characters.get(character) ?? "…") : DEFAULT;
    const model = llm_provider || llm_model ? [modelName(chosen)] : [];
    say(this._button.firstElementChild, [who, ...known, ...model].join(" · "));
  }

  /** A character of the session's owner, whose list is not ours. */
  named({ id, name }) {
    this._names.characters.set(id, name);
  }

  /** The names of what was chosen. */
  async _learn() {
    const { character, collections } = this._chosen;
    const none = () => {};
    if (character && !this._names.characters.has(character)) {
      await orElse(none, async () => (await this._api.characters()).forEach((one) => this.named(one)));
    }
    for (const id of collections.filter((one) => !this._names.collections.has(one))) {
      await orElse(none, async () => this._names.collections.set(id, (await this._api.collection(id)).name));
    }
    this.show(this._chosen);
  }

  async _fill() {
    const problem = problemLine();
    this._panel.replaceChildren(problem);
    await tried(problem, async () => {
      const [characters, { collections: all }, models] = await Promise.all([
        this._api.characters(),
        this._api.collections({ limit: 200 }),
        new Api().models(),
      ]);
      for (const one of characters) this.named(one);
      const collections = all.filter(({ id, thread }) => !thread || thread === this._chat || this._chosen.collections.includes(id));
      const listed = new Set(collections.map(({ id }) => id)); // the list is a moment behind
      const others = this._chosen.collections.filter((id) => !listed.has(id) && this._names.collections.has(id));
      collections.unshift(...others.map((id) => ({ id, name: this._names.collections.get(id) })));
      for (const { id, name } of collections) this._names.collections.set(id, name);
      const options = characters.map(({ id, name }) => make("option", { value: id }, name));
      const select = make("select", { id: "character" }, make("option", { value: "" }, DEFAULT), ...options);
      select.value = this._chosen.character ?? "";
      const known = knowledge(collections, t("Knowledge"));
      known.show(this._chosen.collections);
      select.addEventListener("change", () =>
        tried(problem, async () => {
          await this._onWish({ character: select.value || null });
          const own = characters.find(({ id }) => id === select.value)?.collections ?? [];
          if (own.length) known.show(own);
        }),
      );
      known.element.addEventListener("change", () => tried(problem, () => this._onWish({ collections: known.value })));
      const label = make("label", { for: "character" }, t("Character"));
      const more = make("p", { class: "note" }, t("Made in the library:"), " ", make("a", { href: "./?characters" }, t("Characters")), ", ");
      more.append(make("a", { href: "./?collections" }, t("Knowledge")));
      this._panel.replaceChildren(label, select, known.element, ...this._modelChoice(models, problem), more, problem);
    });
  }

  /** This server's own model and those of `models`, [{provider, model}]; nothing where there is no choice. */
  _modelChoice(models, problem) {
    const { llm_provider, llm_model } = this._chosen;
    const chosen = JSON.stringify({ llm_provider, llm_model });
    const offered = models.map(({ provider, model }) => ({ llm_provider: provider, llm_model: model }));
    const values = new Set([{ llm_provider: null, llm_model: null }, ...offered].map((one) => JSON.stringify(one)).concat(chosen));
    if (values.size === 1) return [];
    const options = [...values].map((value) => make("option", { value }, modelName(JSON.parse(value))));
    const select = make("select", { id: "model" }, ...options);
    select.value = chosen;
    select.addEventListener("change", () => tried(problem, () => this._onWish(JSON.parse(select.value))));
    return [make("label", { for: "model" }, t("Model")), select];
  }
}
