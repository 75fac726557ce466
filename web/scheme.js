/** Light or dark: as the system, or as it was chosen in the settings. */

import { pageScheme } from "./storage.js";

/** Puts what is chosen on the page, and on the bars of a phone around it. */
export function showScheme() {
  const chosen = pageScheme().read();
  document.documentElement.style.colorScheme = chosen ?? "";
  for (const meta of document.querySelectorAll("meta[name='theme-color']")) {
    const { scheme } = meta.dataset;
    if (!chosen) meta.media = `(prefers-color-scheme: ${scheme})`;
    else meta.media = scheme === chosen ? "all" : "not all";
  }
}
