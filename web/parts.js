/** Parts of the page that are loaded when they are wanted. */

import { retryDelayMs } from "./client/cursor.js";
import { laterWords } from "./strings.js";

const TRIES = 10; // within a minute or two

/** Whether `error` says that a part could not be loaded, or is of another release. */
export const isMissing = (error) =>
  /dynamically imported module|importing a module|does not provide an export/i.test(error?.message);

/** The module that is being loaded, once its words are there, too. */
export const part = (loading) => Promise.all([loading, laterWords]).then(([module]) => module);

/** The classes of soon.js. No user asks for them by hand, and so would ask again: loading is repeated until they are there. */
export const soon = () => part(surely(() => import("./soon.js")));

async function surely(load) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await load();
    } catch (error) {
      if (!isMissing(error) || failures === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(failures, Math.random())));
    }
  }
}
