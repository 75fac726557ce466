/** Choices about the page itself, for this browser. */

import { showScheme } from "../scheme.js";
import { interfaceLanguage, pageScheme } from "../storage.js";
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
  const scheme = choice(t("Appearance"), null, (chosen) => {
    pageScheme().write(chosen || null);
    showScheme();
  });
  options(scheme, [["", t("As the system")], ["light", t("Light")], ["dark", t("Dark")]]);
  scheme.show(pageScheme().read() ?? "");
  return section(t("Page"), { language, scheme });
}
