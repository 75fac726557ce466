/** The page: which of its places is meant, and what is there in all of them. */

import { AskPlace } from "./ask.js";
import { isGuest } from "./credentials.js";
import { byId, make } from "./dom.js";
import { bindHelp } from "./help.js";
import { staySignedIn } from "./staying.js";

const query = new URLSearchParams(location.search);
const listening = isGuest;
const SILENT = { contextState: "none", rms: 0, turn: null, positionMs: 0, samplesPlayed: 0, underruns: 0, lastSeq: 0 };

/** Name, and how to begin it. Asking is the page's first place, so only its modules are always loaded. */
const PLACES = [
  ["story", async (id) => new (await import("./stories/story-place.js")).StoryPlace(id)],
  ["stories", async () => new (await import("./stories/list-place.js")).StoriesPlace()],
  ["thread", async (id) => new (await import("./conversations/thread-place.js")).ThreadPlace(id)],
  ["threads", async () => new (await import("./conversations/threads-place.js")).ThreadsPlace()],
  ["characters", async () => new (await import("./conversations/characters-place.js")).CharactersPlace()],
  ["collections", async () => new (await import("./conversations/collections-place.js")).CollectionsPlace()],
  ["collection", async (id) => new (await import("./conversations/collection-place.js")).CollectionPlace(id)],
  ["history", async () => new (await import("./history/list-place.js")).HistoryPlace()],
  ["timeline", async (id) => new (await import("./history/timeline-place.js")).TimelinePlace(id)],
];
const PARENTS = {
  ...{ story: "stories", timeline: "history" },
  ...{ thread: "threads", characters: "threads", collections: "threads", collection: "threads" },
};

let place = null;
window.rhapsode = Object.freeze({ stats: () => place?.stats() ?? SILENT });

async function begin() {
  const [name, make] = PLACES.find(([name]) => !listening && query.has(name)) ?? ["ask", null];
  document.body.dataset.place = name;
  document.body.dataset.listening = String(listening);
  const current = document.querySelector(`.places [data-place="${PARENTS[name] ?? name}"]`);
  current?.setAttribute("aria-current", name in PARENTS ? "true" : "page");
  place = make ? await make(query.get(name)) : new AskPlace({ id: query.get("session"), listening });
  await place.start();
}

/** What belongs to whoever owns the sessions; a guest with a share link has none of it. */
async function furnish() {
  byId("settings-button").hidden = false;
  byId("settings-button").addEventListener("click", async () => {
    const { openSettings } = await import("./settings/panel.js");
    const onChange = (preferences) => place?.preferencesChanged?.(preferences);
    openSettings({ onChange, listening: place?.listening });
  });
  byId("share").addEventListener("click", async ({ currentTarget }) => {
    const { openShares } = await import("./share.js");
    openShares(currentTarget.dataset.session);
  });
  const { Notices } = await import("./notices.js");
  new Notices({ place: () => place }).open();
}

function welcomeGuest() {
  const words = "You are listening along. Only the owner of this session can ask.";
  byId("dock").prepend(make("p", { class: "guest" }, words));
}

bindHelp(byId("help-button"));
addEventListener("rhapsode:who", async () => (await import("./sign-in.js")).askForKey());
if (listening) welcomeGuest();
else staySignedIn();
await Promise.all([begin(), listening || furnish()]);
