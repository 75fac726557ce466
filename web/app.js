/** The page: one document with its side bar, its player and its text box, and the place that is on show. */

import { addressOf } from "./addresses.js";
import { Api, orElse } from "./api.js";
import { Awake } from "./awake.js";
import { ChatPlace } from "./chat.js";
import { ChatHead } from "./chat-head.js";
import { Composer } from "./composer.js";
import { Controls } from "./controls.js";
import { isGuest } from "./credentials.js";
import { assistantDoes, whatIsDone } from "./doing.js";
import { asSentence, byId, isTyping, make, oncePerFrame, say } from "./dom.js";
import { Hearing } from "./hearing.js";
import { refusalOf } from "./refusals.js";
import { isMissing, part, soon } from "./parts.js";
import { momentAt } from "./seek.js";
import { showScheme } from "./scheme.js";
import { staySignedIn } from "./staying.js";
import { developerPanel } from "./storage.js";
import { emptyStory, isOver, latestTurn, runningTurn, titleIn } from "./story.js";
import { t, translate } from "./strings.js";
import { positionIn } from "./timeline.js";

/** Query of an address, in which of the side bar's places it is, and how it begins. Old addresses lead on. */
const ROUTES = [
  ["story", "stories", async (id, shell) => new (await part(import("./stories/story-place.js"))).StoryPlace(id, shell)],
  ["stories", "stories", async (_, shell) => new (await part(import("./stories/list-place.js"))).StoriesPlace(shell)],
  ["characters", "library", async (_, shell) => new (await part(import("./conversations/characters-place.js"))).CharactersPlace(shell)],
  ["collections", "library", async (_, shell) => new (await part(import("./conversations/collections-place.js"))).CollectionsPlace(shell)],
  ["collection", "library", async (id, shell) => new (await part(import("./conversations/collection-place.js"))).CollectionPlace(id, shell)],
  ["timeline", "timeline", async (id, shell) => new (await part(import("./history/timeline-place.js"))).TimelinePlace(id, shell)],
  ["compare", "compare", async (_, shell) => new (await part(import("./compare-place.js"))).ComparePlace(shell)],
  ["session", "chat", async (id, shell) => new ChatPlace(id, shell)],
  ["thread", "chat", async (id, shell) => new ChatPlace(id, shell)],
];

class Shell {
  constructor() {
    this.guest = isGuest;
    this.api = new Api();
    this.place = null;
    this.paint = oncePerFrame(() => this._draw());
    this._doing = "";
    this._awake = new Awake();
    this.hearing = new Hearing({
      control: (session, action, about) => this._control(session, action, about),
      onChange: () => this.paint(),
      onOpen: async () => {
        await this.complete;
        await this._devices?.start();
      },
      onTrouble: (text) => this.controls.showNotice(text),
    });
    this.controls = this._makeControls();
    if (!this.hearing.able) this.controls.showMute(t("This browser plays sound only on https:// or localhost."));
    this.composer = new Composer({ place: () => this.place });
    this.listening = this._chapters = this._devices = this._media = this._sidebar = null; // come with soon.js
    this.complete = this._complete().catch(showMissing);
    this._marked = []; // the place on show, for the side bar
    this.head = new ChatHead({ onWish: (wish) => this.place.choose(wish) });
    this._developer = null;
    this._menu = null; // comes when it is wanted
  }

  /** Makes what is not needed for a first key. */
  async _complete() {
    const { ChaptersView, Devices, Listening, MediaControls, Notices, Sidebar } = await soon();
    const handlers = this._handlers;
    this._media = new MediaControls(handlers);
    this._chapters = new ChaptersView({ onChapter: (scene) => this.hearing.chapters.go(scene), onStep: handlers.onChapter });
    this._devices = new Devices({
      onInput: () => this.listening?.changeDevice(),
      onOutput: (id) => this.hearing.setOutput(id),
      onTrouble: (text) => this.controls.showNotice(text),
    });
    if (!isGuest) {
      this.listening = this._listen(Listening);
      this._sidebar = new Sidebar({ onMenu: (button, about) => this._openMenu(button, about) });
      this._sidebar.mark(...this._marked);
      void this._sidebar.reload();
      new Notices({ place: () => this.place }).open();
    }
    this.paint();
  }

  _makeControls() {
    const { hearing } = this;
    this._handlers = {
      onPause: () => (hearing.heard ? hearing.togglePause() : this.place?.play?.()),
      onSkip: () => hearing.skip(),
      onBack: () => hearing.back(),
      onChapter: (by) => hearing.chapters?.step(by),
      onNext: (by) => (hearing.chapters?.now() ? hearing.chapters.step(by) : by > 0 ? hearing.skip() : hearing.back()),
      onSeek: (ms) => (hearing.chapters?.now()?.current ? hearing.chapters.seek(ms) : hearing.seek(ms)),
      onStop: () => {
        this.place?.stopped?.();
        void hearing.stop();
      },
      onUnlock: () => hearing.unlock(),
      onVoice: (voice) => hearing.setVoice(voice),
      onVolume: (volume) => hearing.setVolume(volume),
      onSpeed: (speed) => hearing.setSpeed(speed),
      onTyping: (typing) => hearing.prefer({ typing }),
      onSettings: (patch) => this._wishSettings(patch),
    };
    return new Controls(this._handlers);
  }

  _listen(Listening) {
    return new Listening({
      begin: () => this.place.begun(),
      attach: (files) => this.composer.attach(files),
      change: async (patch) => this.place.changeSettings?.({ listening: patch }),
      announce: (text) => this.controls.announce(text),
      onChange: () => this.paint(),
      hush: () => this.hearing.session && this.hearing.stop(),
      theirs: () => this.hearing.level,
      onSettings: () => this._showSettings(),
    });
  }

  async _openMenu(button, about) {
    const { Menu } = await part(import("./menu.js"));
    this._menu ??= new Menu({
      onRenamed: (renamed, title) => this.noted({ ...renamed, title }),
      onPinned: (pinned) => this._sidebar?.pin(pinned),
      onDeleted: ({ id }) => this._deleted(id),
      onProblem: (text) => this.controls.showNotice(text),
    });
    this._menu.toggle(button, about);
  }

  async start() {
    byId("help-button").addEventListener("click", () => showHelp());
    addEventListener("keydown", (event) => event.key === "?" && !isTyping(event.target) && showHelp(event));
    addEventListener("popstate", () => this._popped());
    addEventListener("pagehide", () => this.place?.save?.() ?? this.hearing.save());
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => this.hearing.unlock());
    document.addEventListener("click", (event) => this._clicked(event));
    byId("more").addEventListener("click", () => this._openMenu(byId("more"), this.place.about));
    byId("story").addEventListener("click", (event) => this._hearFrom(event));
    if (isGuest) byId("dock").prepend(make("p", { class: "guest" }, t("You are listening along. Only the owner of this session can ask.")));
    else this._furnish();
    await this._show();
  }

  /** Binds the owner's controls; a guest with a share link has none of them. */
  _furnish() {
    staySignedIn();
    byId("settings-button").addEventListener("click", () => this._showSettings());
    byId("developer-button").addEventListener("click", () => this._showDeveloper(byId("developer").hidden));
    if (developerPanel().read()) void this._showDeveloper(true);
    void this._showVoices();
  }

  async _showSettings() {
    const [{ openSettings }] = await Promise.all([import("./settings/panel.js"), this.complete]);
    const onChange = (preferences) => this.place?.preferencesChanged?.(preferences);
    openSettings({ onChange, listening: this.listening, devices: this._devices });
  }

  async _showVoices() {
    this.controls.showVoices(await orElse(() => [], () => this.api.voices()));
    this.paint();
  }

  /** Go to another place of this page. */
  go(href) {
    history.pushState(null, "", href);
    return this._show();
  }

  _clicked(event) {
    const early = event.target.closest?.(".start-voice, #open-sidebar");
    if (early && !this._sidebar) void this.complete.then(() => this._sidebar && early.click());
    const link = event.target.closest?.("a[href^='./']");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    event.preventDefault();
    void this.go(link.getAttribute("href"));
  }

  /** The browser's way back out of voice mode leads into its chat, also where that was begun in it. */
  _popped() {
    if (this.listening?.view.isOpen) {
      this.listening.view.left();
      if (this.place.about) history.replaceState(null, "", addressOf(this.place.about));
      this._address = location.search;
    } else if (location.search !== this._address) void this._show();
  }

  async _show() {
    const query = new URLSearchParams((this._address = location.search));
    const [name, where, begin] = (isGuest ? ROUTES.filter(([route]) => route === "session") : ROUTES).find(([route]) =>
      query.has(route),
    ) ?? ["chat", "chat", async () => new ChatPlace(null, this, query.has("with") ? { character: query.get("with") } : {})];
    const id = query.get(name) || null;
    const showing = (this._showing = Symbol(name));
    const place = await begin(id, this);
    if (showing !== this._showing) return; // another place was gone to meanwhile
    const first = this.place === null;
    this.place?.leave();
    this._clear(where === "chat" ? "chat" : name);
    this.place = place;
    this._mark(where, id);
    await place.start();
    if (!first && document.activeElement === document.body) byId("heading").focus({ preventScroll: true });
    if (query.has("history")) void this.complete.then(() => this._sidebar?.open());
    this.paint();
  }

  /** Nothing of the place before is left. */
  _clear(name) {
    document.body.dataset.place = name;
    document.body.dataset.listening = String(isGuest);
    for (const id of ["welcome", "place", "refusal", "more", "with", "speech"]) byId(id).hidden = true;
    for (const id of ["place", "story", "speech", "head"]) byId(id).replaceChildren();
    byId("composer").hidden = isGuest;
    byId("dock").hidden = false;
    this.controls.showConnection({ state: "idle" });
    if (this.place) scrollTo({ top: 0, behavior: "instant" });
  }

  title(text) {
    if (byId("heading").textContent === text) return;
    byId("heading").textContent = text;
    document.title = `${text} · Rhapsode`;
  }

  /** The place on show has begun a session, and goes on under its address. */
  named(place, about) {
    if (place === this.place) {
      history.replaceState(null, "", addressOf(about) + location.hash);
      this._address = location.search;
      this.composer.keepAs(about.id);
      this._mark("chat", about.id);
    }
    this.noted(about);
  }

  _mark(...place) {
    this._marked = place;
    this._sidebar?.mark(...place);
  }

  noted(about) {
    this._sidebar?.noted(about);
  }

  _deleted(id) {
    this._sidebar?.gone(id);
    if (this.place?.about?.id === id) void this.go("./");
  }

  /** The panel is loaded when it is opened for the first time. */
  async _showDeveloper(open) {
    developerPanel().write(open);
    byId("developer-button").setAttribute("aria-pressed", String(open));
    if (!open && byId("developer").contains(document.activeElement)) byId("heading").focus({ preventScroll: true });
    byId("developer").hidden = !open;
    if (open && !this._developer) {
      const { DeveloperPanel } = await part(import("./developer.js"));
      this._developer ??= new DeveloperPanel(byId("developer"), () => this._showDeveloper(false));
    }
    this.paint();
  }

  /** Of the session on show. */
  connection(state) {
    this.controls.showConnection(state);
    if (state.state === "live") this.composer.connected();
    const over = state.state === "ended";
    if (state.state === "refused") this.refused(asSentence(refusalOf(state)));
    if (over) this.listening?.hangUp();
    byId("composer").hidden = isGuest || over || state.state === "refused";
  }

  /** There is nothing to show here; `words` say why. */
  refused(words) {
    this.listening?.hangUp();
    this.title(t("Not found"));
    for (const id of ["place", "more", "with"]) byId(id).hidden = true;
    byId("composer").hidden = true;
    byId("refusal").hidden = false;
    say(byId("refusal").firstElementChild, words);
    byId("refusal").scrollIntoView({ block: "center", behavior: "instant" });
  }

  _control(session, action, about) {
    if (isGuest) return null;
    const onProblem = ({ code, message }) => {
      if (code !== "turn.none_running") this.controls.showNotice(asSentence(message));
    };
    this.controls.showNotice(null);
    return orElse(onProblem, () => this.api.control(session.id, action, about));
  }

  _wishSettings(patch) {
    const onProblem = ({ message }) => {
      this.controls.showSettingsProblem(asSentence(message));
      this.paint();
    };
    return orElse(onProblem, () => this.place.changeSettings(patch));
  }

  /** A click on a word: to hear from there. */
  _hearFrom(event) {
    const id = Number(event.target.closest?.(".turn")?.dataset.turn);
    const turn = this.place?.heardIn?.(id);
    const ms = turn?.audioMs ? momentAt(event, turn) : null;
    if (ms !== null) this.place.hear(id, ms);
  }

  _draw() {
    const { place, hearing } = this;
    if (!place) return;
    const { heard, heardTurn: turn, paused, preferences, session } = hearing;
    const shown = place.story ?? emptyStory();
    hearing.chapters?.refresh();
    const does = assistantDoes(shown, turn, hearing);
    place.draw?.({ heard, paused, does });
    if (byId("refusal").hidden && place.title) this.title(place.title);
    byId("more").hidden = isGuest || !place.about || !byId("refusal").hidden;
    this._developer?.update(place);
    this.controls.showSound(preferences);
    this.controls.showUnlock(Boolean(heard) && hearing.locked);
    const active = Boolean(session ?? runningTurn(shown));
    const chapters = hearing.chapters?.now() ?? null;
    const time = heard && chapters?.current ? chapters : turn ? positionIn(turn, heard.ms) : {};
    this._chapters?.show(chapters);
    this.controls.showTransport({
      hearing: Boolean(heard),
      active,
      paused,
      time: turn?.audioMs ? time : null,
      doing: this._describe(session?.story ?? shown, turn),
      source: session && session.id !== place.about?.id && session.story.lastSeq ? sourceOf(session) : null,
    });
    const title = heard && sourceOf(session).title;
    this._media?.show({ title, chapter: chapters?.current, paused, ms: time.ms, ofMs: time.ofMs, speed: preferences.speed });
    this._awake.keep((Boolean(heard) && !paused) || Boolean(this.listening?.isOn));
    byId("dock").hidden = byId("composer").hidden && !active && !isGuest;
  }

  /** An answer that is not read out is told to a screen reader when it is complete. */
  _describe(story, turn) {
    const { paused, buffering, queued, wantsVoice } = this.hearing;
    const doing = whatIsDone(story, turn, { paused, buffering: false });
    const last = latestTurn(story);
    const written = wantsVoice || !last ? t("Finished") : isOver(last) ? last.text : "";
    const spoken = doing || (turn ? t("Reading aloud") : written);
    if (spoken !== this._doing && last) this.controls.announce(spoken);
    this._doing = spoken;
    const waiting = queued ? [t("Queued ({count})", { count: queued })] : [];
    return [whatIsDone(story, turn, { paused, buffering }), ...waiting].filter(Boolean).join(" · ");
  }
}

/** A session that is heard and not on show: its title, and the way to it. */
function sourceOf({ id, story }) {
  return { title: titleIn(story) || t("another place"), href: addressOf({ id, kind: story.kind }) };
}

/** The keys that do something, in a dialog; a key that asks for it writes nothing. */
async function showHelp(event) {
  event?.preventDefault();
  (await part(import("./help.js"))).openHelp();
}

/** A part of the page that is loaded when it is wanted, and could not be. */
function showMissing(error) {
  if (!isMissing(error)) throw error;
  shell.controls.showNotice(t("This part of the page could not be loaded. Try again when you are connected, or load the page anew."));
}
addEventListener("unhandledrejection", (event) => {
  showMissing(event.reason);
  event.preventDefault();
});
addEventListener("rhapsode:who", async () => (await part(import("./sign-in.js"))).askForKey());
showScheme();
translate(document);
const shell = new Shell();
window.rhapsode = Object.freeze({ stats: () => ({ ...shell.hearing.stats(), lastSeq: 0, ...shell.place?.stats?.() }) });
void shell.start(); // not waited for: parts that are loaded later import from this module
