/** The browser's storage. A browser that refuses to store anything is no reason to fail. */

function attempt(action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof DOMException || error instanceof SyntaxError) return null;
    throw error;
  }
}

class Shelf {
  constructor(storage, key) {
    this._storage = storage;
    this._key = key;
  }

  read() {
    return attempt(() => JSON.parse(this._storage()?.getItem(this._key) ?? "null"));
  }

  write(value) {
    attempt(() => this._storage().setItem(this._key, JSON.stringify(value)));
  }
}

/** Forgets what this tab alone has kept: drafts, and places in sessions. */
export const forgetTab = () => attempt(() => sessionStorage.clear());

/** This tab's place in the session's sound: {turn, ms, done, at}. */
export const placeIn = (session) => new Shelf(() => sessionStorage, `rhapsode:place:${session}`);

/** The text of a place's box that has not been sent. Each tab has its own. */
export const draftIn = (place) => new Shelf(() => sessionStorage, `rhapsode:draft:${place}`);

/** {token, expires_in, renewal, made_ms} of whoever signed in, the same in all tabs. */
export const signedIn = () => new Shelf(() => localStorage, "rhapsode:token");

/** The choices about listening, in the words of the session's settings, the same in all tabs. */
export const listeningChoices = () => new Shelf(() => localStorage, "rhapsode:listening");

/** {input, output}: ids of the microphone and the loudspeaker that were chosen, the same in all tabs. */
export const deviceChoices = () => new Shelf(() => localStorage, "rhapsode:devices");

/** [{id, kind, title, created_ms}] of what this user has pinned in the history, the same in all tabs. */
export const pinnedBy = (user) => new Shelf(() => localStorage, `rhapsode:pinned:${user}`);

/** {voice, volume, speed, typing: "interrupt" or "queue"}, the same in all tabs. */
export const preferences = () => new Shelf(() => localStorage, "rhapsode:preferences");

/** The language of the page where one is chosen, the same in all tabs. */
export const interfaceLanguage = () => new Shelf(() => globalThis.localStorage, "rhapsode:language");

/** "light" or "dark" where one is chosen, the same in all tabs. */
export const pageScheme = () => new Shelf(() => localStorage, "rhapsode:scheme");

/** Whether the developer panel is open, the same in all tabs. */
export const developerPanel = () => new Shelf(() => localStorage, "rhapsode:developer");
