/** What is chosen about the page itself, for this browser. */

import { interfaceLanguage } from "../storage.js";
import { LANGUAGES, t } from "../strings.js";
import { choice, options, section } from "./fields.js";

/** Another language takes the page being loaded again; what is typed and what was heard are kept. */
export function interfaceSection() {
  const language = choice(t("Language of the page"), null, (tag) => {
    interfaceLanguage().write(tag || null);
    location.reload();
  });
  options(language, [["", t("As the browser")], ...Object.entries(LANGUAGES)]);
  language.show(interfaceLanguage().read() ?? "");
  return section(t("Page"), { language });
}
